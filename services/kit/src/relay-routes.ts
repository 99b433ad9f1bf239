import type { Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { type LiveRoute, type RouteCredential, routeKey } from './route.ts'
import { listenToBucket } from './route-bucket.ts'
import { createRouteView } from './route-view.ts'

export type { LiveRoute, Route, RouteCredential } from './route.ts'
export { isNewer, replaces } from './route.ts'

const SWEEP_MS = 250
// So long relays have, after NATS was away, to be heard again before their silence counts.
const GRACE_MS = 10_000
// Nor does it count where it was this process that heard nothing: one that stood still, or slept.
const STOOD_STILL_MS = 2000

/** Calls again and again; returns how to end that. */
export type Every = (ms: number, work: () => void) => () => void

/** By the machine's own timers. */
export const every: Every = (ms, work) => {
  const timer = setInterval(work, ms)
  return () => clearInterval(timer)
}

/** Which relay carries which tunnel, as all relays say, in memory. Asking costs a look into a map. */
export interface RelayRoutes {
  /** Resolves when all routes have been heard for the first time. */
  readonly ready: Promise<void>
  /** Every live route to a subdomain; empty where there is none. */
  routesTo(subdomain: string): readonly LiveRoute[]
  routesOf(tunnelId: string): readonly LiveRoute[]
  /** Those whose agents a credential admitted. */
  routesHeldBy(credential: RouteCredential): readonly LiveRoute[]
  liveRelays(): number
  /** Counts these routes of a tunnel no more, until they are told again: their relays will withdraw them. */
  forget(tunnelId: string, matches: (route: LiveRoute) => boolean): void
  /** False while NATS is away, when this is what was known before. */
  isCurrent(): boolean
  close(): void
}

/**
 * Hears of all routes. A relay that was not heard of for 6 s is dead, and its routes count no more; while NATS is
 * away, and for 10 s after, none dies.
 */
export function openRelayRoutes(options: {
  nats: Nats
  log: Logger
  /** Counts on evenly (kit/clock, monotonicNow): all is counted from some moment, nothing is a date. */
  now: () => Date
  /** Called after each change of a tunnel's routes, also that of a relay's death. */
  onChange?: (tunnelId: string) => void
  every?: Every
}): RelayRoutes {
  const { nats, log, onChange } = options
  const now = () => options.now().getTime()
  const firstView = Promise.withResolvers<void>()
  firstView.promise.catch(() => {}) // it was closed before; who waits for it hears so
  const view = createRouteView((tunnelId) => {
    try {
      onChange?.(tunnelId)
    } catch (error) {
      log.error({ err: error, tunnelId }, 'a change of routes was not taken in')
    }
  })
  let isCurrent = false
  let wasAway = false
  let heldUntil = Number.POSITIVE_INFINITY
  let sweptAt = now()

  const sweep = () => {
    const at = now()
    if (at - sweptAt > STOOD_STILL_MS) heldUntil = Math.max(heldUntil, at + GRACE_MS)
    sweptAt = at
    if (at >= heldUntil) view.sweep(at)
  }
  const listening = listenToBucket({
    nats,
    log,
    listener: {
      entry(key, value, ageMs) {
        const at = now()
        if (value === undefined) view.forget(key)
        else if (!view.hear(key, value, at - ageMs, at)) log.warn({ key }, 'an entry that is no route')
      },
      complete() {
        isCurrent = true
        heldUntil = now() + (wasAway ? GRACE_MS : 0)
        firstView.resolve()
      },
      away() {
        isCurrent = false
        wasAway = true
        heldUntil = Number.POSITIVE_INFINITY
      },
    },
  })
  const stopSweeping = (options.every ?? every)(SWEEP_MS, sweep)

  return {
    ready: firstView.promise,
    routesTo: view.routesTo,
    routesOf: view.routesOf,
    routesHeldBy: view.routesHeldBy,
    liveRelays: view.liveRelays,
    forget(tunnelId, matches) {
      for (const route of view.routesOf(tunnelId).filter(matches)) view.forget(routeKey(route))
    },
    isCurrent: () => isCurrent,
    close() {
      stopSweeping()
      listening.close()
      isCurrent = false
      firstView.reject(new Error('the routes were closed'))
    },
  }
}
