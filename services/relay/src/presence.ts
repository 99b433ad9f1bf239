import { goaways, isGoawayReason } from '@instatunnel/kit/goaway'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import {
  isNewer,
  openRelayRoutes,
  type RelayRoutes,
  type Route,
  replaces,
} from '@instatunnel/kit/relay-routes'
import { announceRoutes, type RouteAnnouncer } from '@instatunnel/kit/route-announcer'
import { type Arrivals, createArrivals } from './arrivals.ts'
import { type Admitted, type Connections, createConnections } from './connections.ts'
import { tellConnections } from './events/connection-events.ts'

/** Which agents are here, which are elsewhere, and telling others of those that are here. */
export interface Presence {
  readonly connections: Connections
  readonly routes: RelayRoutes
  readonly arrivals: Arrivals
  readonly announcer: RouteAnnouncer
}

/** Opens it; what it opens is closed with `closing`. Peers reach this relay at `peerAddress`. */
export function openPresence(options: {
  readonly relayId: string
  readonly peerAddress: string
  readonly maxRequestsPerAgent: number
  readonly maxWebSocketsPerAgent: number
  readonly closing: AsyncDisposableStack
  readonly nats: Nats
  readonly log: Logger
  /** The time by which events are dated. */
  readonly now: () => Date
  /** Counts on evenly (kit/clock): for all that takes some time. */
  readonly monotonicNow: () => Date
}): Presence {
  const { relayId, closing, nats, log, now, monotonicNow } = options
  const told = closing.adopt(tellConnections({ nats, log, now, relayId }), (teller) => teller.close())
  const announcer = closing.adopt(
    announceRoutes({
      ...options,
      now: monotonicNow,
      onSuperseded: ({ connectionId }) =>
        connections.cut((each) => each.connectionId === connectionId, 'replaced'),
    }),
    (open) => open.close(),
  )
  const arrivals = closing.adopt(createArrivals({ now: monotonicNow }), (all) => all.close())
  const connections = closing.adopt(
    createConnections({
      log,
      now: monotonicNow,
      maxRequests: options.maxRequestsPerAgent,
      maxWebSockets: options.maxWebSocketsPerAgent,
      onUp(connection) {
        arrivals.arrived(connection.subdomain)
        told.connected(connection)
      },
      onDown(connection, reason) {
        if (mayReturn(reason)) arrivals.gone(connection.subdomain)
        announcer.withdraw(routeOf(connection, relayId))
        told.disconnected(connection, reason)
      },
      onLimited(connection) {
        announcer.announce(routeOf(connection, relayId))
      },
    }),
    (all) => all.close(),
  )
  /** Subdomains of the tunnels that have agents elsewhere. */
  const elsewhere = new Map<string, string>()
  const onChange = (tunnelId: string) => {
    const all = routes.routesOf(tunnelId)
    const [other] = all.filter((route) => route.relayId !== relayId)
    const before = elsewhere.get(tunnelId)
    if (other) {
      elsewhere.set(tunnelId, other.subdomain)
      arrivals.arrived(other.subdomain)
    } else if (before !== undefined) {
      elsewhere.delete(tunnelId)
      // Its relay may have ended: then it is about to connect to another one, if it has not yet.
      if (connections.at(before).length === 0) arrivals.gone(before)
    }
    // An agent that has connected elsewhere since has left here, whether it could say so or not.
    const isReplaced = (each: Admitted) => all.some((route) => replaces(route, routeOf(each, relayId)))
    if (connections.ofTunnel(tunnelId).some(isReplaced)) {
      connections.cut((each) => each.tunnelId === tunnelId && isReplaced(each), 'replaced')
    }
    // The name has changed hands: who was let through under it before has lost it.
    const hasLost = (each: Admitted) =>
      all.some(
        (route) =>
          route.subdomain === each.subdomain &&
          route.tunnelId !== each.tunnelId &&
          isNewer(route, routeOf(each, relayId)),
      )
    if (other && connections.at(other.subdomain).some(hasLost)) connections.cut(hasLost, 'tunnel_changed')
  }
  const routes = closing.adopt(openRelayRoutes({ nats, log, now: monotonicNow, onChange }), (open) =>
    open.close(),
  )
  return { connections, routes, arrivals, announcer }
}

/** How a connection is told to the other relays. */
export const routeOf = (admitted: Admitted, relayId: string): Route => ({
  tunnelId: admitted.tunnelId,
  userId: admitted.userId,
  subdomain: admitted.subdomain,
  connectionId: admitted.connectionId,
  agent: admitted.agent,
  generation: admitted.generation,
  relayId,
  issuedAt: admitted.issuedAt,
  responseTimeout: admitted.responseTimeout,
  credential: { type: admitted.credential.type, id: admitted.credential.id },
})

/** True where the agent comes again by itself, and under the same name. */
const mayReturn = (reason: string) =>
  !isGoawayReason(reason) || (reason !== 'tunnel_changed' && goaways[reason].after === 'reconnect')
