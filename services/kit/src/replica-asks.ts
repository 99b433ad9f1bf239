import type { Msg } from '@nats-io/transport-node'
import { z } from 'zod'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { replicaField } from './replica-beacon.ts'
import type { Replicas } from './replicas.ts'
import { isSpoken } from './spoken.ts'

const RECHECK_MS = 25

/** Which replicas answered, and how many there were to answer. */
export interface Asked {
  readonly acked: readonly string[]
  readonly total: number
}

const acknowledgement = z.object({ replica: replicaField })

/**
 * Asks all live replicas, or those of `of` that live. Resolves as soon as all have answered, after `waitMs` with those
 * that had by then, and at once where NATS is away.
 */
export async function askReplicas(options: {
  nats: Nats
  follow: Pick<Replicas, 'live' | 'isThere' | 'isCurrent'>
  subject: string
  request: unknown
  of?: readonly string[]
  waitMs: number
}): Promise<Asked> {
  const { nats, follow, subject, request, of, waitMs } = options
  const acked = new Set<string>()
  const isAsked = (replica: string) => of === undefined || of.includes(replica)
  const told = (): Asked => {
    const all = new Set([...follow.live().filter(isAsked), ...acked])
    return { acked: [...acked].sort(), total: all.size }
  }
  const opened = await Promise.race([nats.ready, Promise.resolve()]).catch(() => undefined)
  if (!opened || opened.connection.isClosed() || !follow.isThere()) return told()

  const { connection } = opened
  const { promise, resolve } = Promise.withResolvers<void>()
  const look = () => {
    const isHeard = follow.live().every((replica) => !isAsked(replica) || acked.has(replica))
    if (!follow.isThere() || (follow.isCurrent() && isHeard)) resolve()
  }
  const inbox = nats.newInbox()
  const answers = connection.subscribe(inbox, {
    callback(error, message) {
      // NATS itself says so where nobody listens.
      if (error || message.headers?.code === 503) return follow.live().some(isAsked) ? undefined : resolve()
      if (!isSpoken(message, inbox)) return
      const { data } = acknowledgement.safeParse(jsonOf(message))
      if (data && isAsked(data.replica)) acked.add(data.replica)
      look()
    },
  })
  const timers = [setInterval(look, RECHECK_MS), setTimeout(resolve, waitMs)]
  try {
    connection.publish(subject, JSON.stringify(request), { reply: inbox })
    await promise
  } finally {
    for (const timer of timers) clearTimeout(timer)
    answers.unsubscribe()
  }
  return told()
}

/** Answers what all replicas are asked; undefined is no answer, nor is what `answer` throws. */
export function answerAsked(options: {
  nats: Nats
  log: Logger
  subject: string
  answer: (request: unknown) => unknown | Promise<unknown>
}): { close(): void } {
  const { nats, log, subject, answer } = options
  let stop = () => {}
  let closed = false

  const respond = async (message: Msg) => {
    // Whoever asks may not have us speak on any subject but an inbox.
    if (!isSpoken(message, subject) || !message.reply?.startsWith('_INBOX.')) return
    const answered = await answer(message.json())
    if (answered !== undefined) message.respond(JSON.stringify(answered))
  }
  nats.ready.then(
    ({ connection }) => {
      if (closed) return
      // The client subscribes again by itself after NATS was away.
      const asked = connection.subscribe(subject, {
        callback(error, message) {
          const answering = error ? Promise.reject(error) : respond(message)
          answering.catch((cause) =>
            log.warn({ cause: String(cause), subject }, 'a request without an answer'),
          )
        },
      })
      stop = () => asked.unsubscribe()
    },
    () => {},
  )
  return {
    close() {
      closed = true
      stop()
    },
  }
}

function jsonOf(message: Msg): unknown {
  try {
    return message.json()
  } catch {
    return undefined
  }
}
