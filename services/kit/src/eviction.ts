import { z } from 'zod'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { type Asked, answerAsked, askReplicas, type Replicas } from './replicas.ts'

const SUBJECT = 'instatunnel.auth.evict'
const WAIT_MS = 1000

const evicted = z.object({
  keys: z.array(z.string()).readonly().optional(),
  sessions: z.array(z.string()).readonly().optional(),
  users: z.array(z.string()).readonly().optional(),
  refusals: z.literal(true).optional(),
})

/** What auth is to forget: all that it knows of these, and with `refusals` also what it knows as unknown. */
export type Evicted = Readonly<z.infer<typeof evicted>>

/** Has every replica of auth forget; tells which of them have. */
export type Evict = (what: Evicted) => Promise<Asked>

/**
 * Resolves when all live replicas have forgotten, and within a second; never rejects. Who was not heard by then is told
 * of in the log: it hears of the change itself, too, or does not trust its memory.
 */
export const createEviction =
  (options: { nats: Nats; log: Logger; replicas: Replicas }): Evict =>
  async (what) => {
    const { nats, log, replicas } = options
    const asked = await askReplicas({
      nats,
      follow: replicas,
      subject: SUBJECT,
      request: what,
      waitMs: WAIT_MS,
    })
    if (asked.acked.length < asked.total || !replicas.isCurrent())
      log.warn(
        { acked: asked.acked.length, total: asked.total },
        'not all replicas of auth told that they forgot',
      )
    return asked
  }

/** Answers evictions for a replica of auth; `forget` is done when it returns. */
export const answerEvictions = (options: {
  nats: Nats
  log: Logger
  replica: string
  forget: (what: Evicted) => void
}): { close(): void } =>
  answerAsked({
    ...options,
    subject: SUBJECT,
    answer(request) {
      options.forget(evicted.parse(request))
      return { replica: options.replica }
    },
  })
