import type { TellRenamed } from '../domain/renamed.ts'
import { askRelays, type RelayAsking, relayAnswer } from './ask-relays.ts'

/** Has every relay know of a tunnel's new subdomain; resolves when all do, and within a second. */
export const createRelayRename =
  (relays: RelayAsking): TellRenamed =>
  async (renamed) => {
    const request = { ...renamed, at: renamed.at.toISOString() }
    await askRelays(relays, { subject: 'instatunnel.relay.renamed', request, answer: relayAnswer })
  }
