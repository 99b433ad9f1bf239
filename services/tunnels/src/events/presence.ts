import { monotonicNow } from '@instatunnel/kit/clock'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { openRelayRoutes, type RelayRoutes } from '@instatunnel/kit/relay-routes'
import type { Presence } from '../domain/presence.ts'

// Relays put their routes anew every 10 s, so that a view that was lost with NATS is whole again after that.
const SETTLING_MS = 15_000
// NATS that is away for less is not noticed, and need not be: the routes hold what they know for longer than that.
const LOOK_EVERY_MS = 1000
// Nobody asks for a time longer ago than that.
const REMEMBERED_MS = 10 * 60 * 1000

/** Presence by the relays' routes, kept up to date until it is closed. */
export interface WatchedPresence extends Presence {
  readonly routes: RelayRoutes
  close(): void
}

/** Watches which tunnels have agents. What was not seen here counts from when it could be seen. */
export function watchPresence(options: {
  nats: Nats
  log: Logger
  now: () => Date
  lookEveryMs?: number
}): WatchedPresence {
  const { nats, log, now, lookEveryMs = LOOK_EVERY_MS } = options
  // When the last agent of a tunnel went, in the order that they went.
  const left = new Map<string, Date>()
  let currentSince: Date | undefined

  const routes = openRelayRoutes({
    nats,
    log,
    now: monotonicNow,
    onChange(tunnelId) {
      left.delete(tunnelId)
      if (!isActive(tunnelId)) left.set(tunnelId, now())
    },
  })
  const isActive = (tunnelId: string) => routes.routesOf(tunnelId).length > 0

  const look = () => {
    currentSince = routes.isCurrent() ? (currentSince ?? now()) : undefined
    for (const [tunnelId, since] of left) {
      if (now().getTime() - since.getTime() < REMEMBERED_MS) break
      left.delete(tunnelId)
    }
  }
  const looking = setInterval(look, lookEveryMs)
  routes.ready.then(look, () => {})

  return {
    routes,
    isActive,
    absentSince(tunnelId) {
      look()
      if (!currentSince || isActive(tunnelId)) return undefined
      const isSettled = now().getTime() - currentSince.getTime() >= SETTLING_MS
      if (!isSettled) return undefined
      return new Date(Math.max(currentSince.getTime(), left.get(tunnelId)?.getTime() ?? 0))
    },
    close() {
      clearInterval(looking)
      routes.close()
    },
  }
}
