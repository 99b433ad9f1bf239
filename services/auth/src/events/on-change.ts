import { answerEvictions, type Evicted } from '@instatunnel/kit/eviction'
import { hearStream } from '@instatunnel/kit/hearing'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Replicas } from '@instatunnel/kit/replicas'
import { z } from 'zod'

const EVENTS = 'instatunnel.events.'
// Where NATS is away a replica starts all the same.
const BEGIN_MS = 1000

/** What changes are heard for. */
export interface Forgetful {
  /** Forgets these; done when it returns. */
  forget(what: Evicted): void
  forgetAll(): void
}

/** Hears what makes a memory wrong. */
export interface Changes {
  /** True while whatever changes is heard of: over the stream of events, and where all replicas are asked to forget. */
  isHeard(): boolean
  /** Resolves when the stream of events is heard for the first time, and within a second: a replica that starts waits for it. */
  begun(): Promise<void>
  close(): void
}

/**
 * Hears changes in both ways that there are, and has them forgotten: each would do by itself, should the other fail.
 * Whenever hearing begins anew all is forgotten, as nobody knows what was missed. A connection that is dead without a
 * word shows in two seconds: this replica no longer hears even itself.
 */
export function hearChanges(options: {
  nats: Nats
  log: Logger
  replica: string
  replicas: Pick<Replicas, 'isCurrent' | 'has'>
  memory: Forgetful
}): Changes {
  const { nats, log, replica, replicas, memory } = options
  let isStreamHeard = false
  const first = Promise.withResolvers<void>()
  const answering = answerEvictions({ nats, log, replica, forget: memory.forget })
  const hearing = hearStream({
    nats,
    log,
    stream: 'INSTATUNNEL',
    async begin() {
      await nats.ensureStreams()
      // The last of each, which costs little to forget once more, and all that follow: so no clock has a say.
      return { subjects: Object.keys(readers).map((type) => EVENTS + type) }
    },
    message(message) {
      const what = readers[message.subject.slice(EVENTS.length)]?.(message.json())
      if (what) memory.forget(what)
    },
    caughtUp() {
      memory.forgetAll()
      isStreamHeard = true
      first.resolve()
    },
    away() {
      isStreamHeard = false
    },
  })
  return {
    isHeard: () => isStreamHeard && replicas.isCurrent() && replicas.has(replica),
    async begun() {
      const timer = setTimeout(first.resolve, BEGIN_MS)
      await first.promise
      clearTimeout(timer)
    },
    close() {
      isStreamHeard = false
      answering.close()
      hearing.close()
    },
  }
}

const key = z.object({ key_id: z.string() })
const updated = key.extend({ changed: z.array(z.string()).default([]) })
const session = z.object({ session_id: z.string() })
const user = z.object({ user_id: z.string() })

const keyOf = (data: unknown): Evicted => ({ keys: [key.parse(data).key_id] })

/** What each event makes wrong. A key that was made, or used up, nobody remembers otherwise. */
const readers: Readonly<Record<string, (data: unknown) => Evicted>> = {
  'key.updated': (data) => {
    const { key_id, changed } = updated.parse(data)
    // It was restored: its secret may be remembered as unknown.
    return { keys: [key_id], ...(changed.includes('state') && { refusals: true as const }) }
  },
  'key.revoked': keyOf,
  'key.rotated': keyOf,
  'session.revoked': (data) => ({ sessions: [session.parse(data).session_id] }),
  'user.updated': (data) => ({ users: [user.parse(data).user_id] }),
}
