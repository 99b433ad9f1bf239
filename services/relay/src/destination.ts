import type { RelayRoutes } from '@instatunnel/kit/relay-routes'
import type { Arrivals } from './arrivals.ts'
import type { Carrier, Connections } from './connections.ts'
import type { VisitorFault } from './domain/visitor-error.ts'
import type { Meter } from './events/tunnel-usage.ts'
import type { KnownTunnels } from './known-tunnels.ts'
import type { Peers } from './peers.ts'

/** Where a visitor's request goes, and what counts it. */
export interface Destination {
  readonly carrier: Carrier
  readonly meter: Meter
}

type Found = Destination | VisitorFault

/** Finds where a subdomain's requests go now, or why they go nowhere; at once where an agent is connected here. */
export type FindDestination = (subdomain: string) => Found | Promise<Found>

/** What finding needs. */
export interface FindOptions {
  readonly relayId: string
  readonly connections: Connections
  readonly routes: Pick<RelayRoutes, 'routesTo'>
  readonly peers: Peers
  readonly arrivals: Arrivals
  readonly known: KnownTunnels
  readonly meterOf: (tunnelId: string, userId: string) => Meter
}

/** An agent here goes before one at a peer; where there is none, visitors wait a moment for one that was just here. */
export function createFind(options: FindOptions): FindDestination {
  const { relayId, connections, routes, peers, arrivals, known, meterOf } = options

  const atPeer = (subdomain: string): Found | Promise<Found> | undefined => {
    const elsewhere = routes.routesTo(subdomain).filter((route) => route.relayId !== relayId)
    const route = elsewhere[Math.floor(Math.random() * elsewhere.length)]
    if (!route) return undefined
    const meter = meterOf(route.tunnelId, route.userId)
    const carrier = peers.carrier(route)
    if (!(carrier instanceof Promise)) return { carrier, meter }
    return carrier.then((late) => (late ? { carrier: late, meter } : 'unavailable'))
  }
  const here = (subdomain: string): Found | undefined => {
    const connection = connections.leastBusy(subdomain)
    if (connection) return { carrier: connection, meter: meterOf(connection.tunnelId, connection.userId) }
    return connections.ofTunnel(subdomain).length > 0 ? 'too_many' : undefined
  }
  const later = async (subdomain: string): Promise<Found> => {
    const isBack = await arrivals.expected(subdomain)
    return (isBack && (here(subdomain) ?? atPeer(subdomain))) || known.faultOf(subdomain)
  }
  return (subdomain) => here(subdomain) ?? atPeer(subdomain) ?? later(subdomain)
}
