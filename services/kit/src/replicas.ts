import { setTimeout as delay } from 'node:timers/promises'
import type { Msg } from '@nats-io/transport-node'
import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { followPulse, type Pulse } from './pulse.ts'
import { beacon, hereOf, rollOf } from './replica-beacon.ts'
import { isSpoken } from './spoken.ts'

export { type Asked, answerAsked, askReplicas } from './replica-asks.ts'
export { announceReplica } from './replica-beacon.ts'

const TICK_MS = 250
// A replica that was silent for two seconds is no more; the time that we stood still ourselves does not count.
const LIVE_TICKS = 8
// Each says that it is there as soon as it is asked to, or NATS is back.
const SETTLE_TICKS = 4
const RECHECK_MS = 25

/** The replicas of a service that live: those heard of within the last two seconds. */
export interface Replicas {
  /** In order of their ids; while NATS is away, those that lived before. */
  live(): readonly string[]
  has(replica: string): boolean
  /** True while NATS answers. */
  isThere(): boolean
  /** True where NATS answers, and every live one has had the time to say so. */
  isCurrent(): boolean
  /** Resolves with true once it is current, with false after so many milliseconds, and at once where NATS is away. */
  becomesCurrent(waitMs: number): Promise<boolean>
  close(): void
}

/** Follows which replicas of a service live. `begun` is called each time that they can be heard anew. */
export function followReplicas(options: {
  nats: Nats
  log: Logger
  service: string
  begun?: () => void
}): Replicas {
  const { nats, log, service, begun } = options
  /** How many ticks each has been silent. */
  const silent = new Map<string, number>()
  let live: readonly string[] = []
  let pulse: Pulse | undefined
  let ticksThere = 0
  let closed = false
  let stop = () => {}

  const changed = () => {
    live = [...silent.keys()].sort()
  }
  const hear = (message: Msg) => {
    if (!isSpoken(message, hereOf(service))) return
    const { replica, leaving } = beacon.parse(message.json())
    const isKnown = silent.has(replica)
    if (leaving) silent.delete(replica)
    else silent.set(replica, 0)
    if (isKnown === Boolean(leaving)) changed()
  }
  const tick = () => {
    if (!pulse?.isThere()) return
    ticksThere++
    for (const [replica, ticks] of silent) {
      if (ticks < LIVE_TICKS) silent.set(replica, ticks + 1)
      else silent.delete(replica)
    }
    if (silent.size !== live.length) changed()
  }
  nats.ready.then(
    ({ connection }) => {
      if (closed) return
      const heard = connection.subscribe(hereOf(service), {
        callback(error, message) {
          try {
            if (error) throw error
            hear(message)
          } catch (cause) {
            log.warn({ cause: String(cause), service }, 'a replica that cannot be understood')
          }
        },
      })
      pulse = followPulse(connection, (isThere) => {
        ticksThere = 0
        if (!isThere) return
        // What was silent while nothing could be heard gets its two seconds.
        for (const replica of silent.keys()) silent.set(replica, 0)
        connection.publish(rollOf(service))
        begun?.()
      })
      const timer = setInterval(tick, TICK_MS)
      stop = () => {
        clearInterval(timer)
        pulse?.stop()
        heard.unsubscribe()
      }
    },
    () => {},
  )
  const isThere = () => !closed && pulse !== undefined && pulse.isThere()
  const isCurrent = () => ticksThere >= SETTLE_TICKS && isThere()
  return {
    live: () => live,
    has: (replica) => silent.has(replica),
    isThere,
    isCurrent,
    async becomesCurrent(waitMs) {
      const until = performance.now() + waitMs
      while (!isCurrent() && isThere() && performance.now() < until) await delay(RECHECK_MS)
      return isCurrent()
    },
    close() {
      closed = true
      stop()
    },
  }
}
