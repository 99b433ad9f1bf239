import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { RelayRoutes } from '@instatunnel/kit/relay-routes'
import { errors, type Msg } from '@nats-io/transport-node'
import { z } from 'zod'

// Who asks waits a second for the answer, and should hear at least of those that told in time.
const WAIT_MS = 900

/** What every relay says in an answer. */
export const relayAnswer = z.object({ relayId: z.string().max(100) })

/** What asking the relays needs. */
export interface RelayAsking {
  readonly nats: Nats
  readonly routes: Pick<RelayRoutes, 'isCurrent' | 'liveRelays'>
  readonly log: Logger
}

/**
 * Asks every relay. The answers are there as soon as all live relays have answered, and within a second; a relay that
 * has not by then is told of in the log: what it is asked, it hears as an event too.
 */
export async function askRelays<Answer extends z.infer<typeof relayAnswer>>(
  { nats, routes, log }: RelayAsking,
  { subject, request, answer }: { subject: string; request: object; answer: z.ZodType<Answer> },
): Promise<readonly Answer[]> {
  const answers = new Map<string, Answer>()
  // One that has just started is not known of yet; where there is none, NATS says so.
  const expected = () => (routes.isCurrent() ? Math.max(1, routes.liveRelays()) : Number.POSITIVE_INFINITY)
  let cause = 'no answer in time'
  try {
    for await (const message of await ask(nats, subject, request)) {
      const told = answer.safeParse(jsonOf(message)).data
      if (told) answers.set(told.relayId, told)
      if (answers.size >= expected()) break
    }
  } catch (error) {
    if (error instanceof errors.NoRespondersError && routes.liveRelays() === 0) return []
    cause = String(error)
  }
  if (answers.size < expected())
    log.warn({ cause, subject, answered: answers.size }, 'not all relays answered')
  return [...answers.values()]
}

/** The relays' answers, as they come. Where NATS was never reached, no agent can have connected. */
async function ask(nats: Nats, subject: string, request: object): Promise<AsyncIterable<Msg>> {
  const opened = await Promise.race([nats.ready, Promise.resolve()])
  if (!opened) throw new Error('NATS cannot be reached yet')
  const options = { maxWait: WAIT_MS, strategy: 'timer' } as const
  return opened.connection.requestMany(subject, JSON.stringify(request), options)
}

function jsonOf(message: Msg): unknown {
  try {
    return message.json()
  } catch {
    return undefined
  }
}
