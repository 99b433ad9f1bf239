import { z } from 'zod'
import type { CutConnections } from '../domain/cut.ts'
import { askRelays, type RelayAsking, relayAnswer } from './ask-relays.ts'

/** What relays answer: how many connections of the credential they cut within the last seconds. */
const answer = relayAnswer.extend({ cut: z.int().min(0) })

/** Has every relay cut off the connections that a credential was admitted with; one that does not answer is not counted. */
export const createRelayCut =
  (relays: RelayAsking): CutConnections =>
  async (cut) => {
    const answers = await askRelays(relays, { subject: 'instatunnel.relay.cut', request: cut, answer })
    return answers.reduce((sum, { cut: count }) => sum + count, 0)
  }
