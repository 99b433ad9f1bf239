import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { RelayRoutes } from '@instatunnel/kit/relay-routes'
import { errors, type Msg } from '@nats-io/transport-node'
import { z } from 'zod'
import type { Cut, CutConnections } from '../domain/cut.ts'

const SUBJECT = 'instatunnel.relay.cut'
// Who asks waits a second for the answer, and should hear at least of those that told in time.
const WAIT_MS = 900

/** What relays answer: who they are, and how many connections of the credential they cut within the last seconds. */
const answer = z.object({ relayId: z.string().max(100), cut: z.int().min(0) })

/**
 * Has every relay cut off the connections that a credential was admitted with. The answer is there as soon as all live
 * relays have answered, and within a second; who has not by then is not counted, and told of in the log: the relays
 * hear of the change itself, too.
 */
export const createRelayCut =
  (options: {
    nats: Nats
    routes: Pick<RelayRoutes, 'isCurrent' | 'liveRelays'>
    log: Logger
  }): CutConnections =>
  async (cut) => {
    const { nats, routes, log } = options
    const answers = new Map<string, number>()
    // One that has just started is not known of yet; where there is none, NATS says so.
    const expected = () => (routes.isCurrent() ? Math.max(1, routes.liveRelays()) : Number.POSITIVE_INFINITY)
    let cause = 'no answer in time'
    try {
      for await (const message of await ask(nats, cut)) {
        const told = answerOf(message)
        if (told) answers.set(told.relayId, told.cut)
        if (answers.size >= expected()) break
      }
    } catch (error) {
      if (error instanceof errors.NoRespondersError && routes.liveRelays() === 0) return 0
      cause = String(error)
    }
    if (answers.size < expected())
      log.warn({ cause, answered: answers.size }, 'not all relays told what they cut')
    return [...answers.values()].reduce((sum, count) => sum + count, 0)
  }

/** The relays' answers, as they come. Where NATS was never reached, nobody can have connected. */
async function ask(nats: Nats, cut: Cut): Promise<AsyncIterable<Msg>> {
  const opened = await Promise.race([nats.ready, Promise.resolve()])
  if (!opened) throw new Error('NATS cannot be reached yet')
  return opened.connection.requestMany(SUBJECT, JSON.stringify(cut), { maxWait: WAIT_MS, strategy: 'timer' })
}

/** What a relay answered; undefined where it is no answer of ours. */
function answerOf(message: Msg) {
  try {
    return answer.parse(message.json())
  } catch {
    return undefined
  }
}
