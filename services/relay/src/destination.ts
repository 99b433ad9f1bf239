import { isNewer, type LiveRoute, type RelayRoutes } from '@instatunnel/kit/relay-routes'
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

/** An agent here goes before one at a peer; where there is none, visitors wait a moment for one that was just there. */
export function createFind(options: FindOptions): FindDestination {
  const { relayId, connections, routes, peers, arrivals, known, meterOf } = options

  const here = (subdomain: string): Destination | undefined => {
    const connection = connections.leastBusy(connections.at(subdomain))
    return connection && { carrier: connection, meter: meterOf(connection.tunnelId, connection.userId) }
  }
  const elsewhere = (subdomain: string): readonly LiveRoute[] =>
    ofNewest(routes.routesTo(subdomain)).filter((route) => route.relayId !== relayId)
  const over = (carrier: Carrier, { tunnelId, userId }: LiveRoute): Destination => ({
    carrier,
    meter: meterOf(tunnelId, userId),
  })
  /** Asks one relay after another: who cannot be reached may have died a moment ago. */
  const atPeer = async (subdomain: string): Promise<Destination | undefined> => {
    const tried = new Set<string>()
    for (;;) {
      const route = anyOf(elsewhere(subdomain).filter((each) => !tried.has(each.relayId)))
      if (!route) return undefined
      tried.add(route.relayId)
      const carrier = await peers.carrier(route)
      if (carrier) return over(carrier, route)
    }
  }
  const awaited = async (subdomain: string): Promise<Destination | undefined> =>
    (await arrivals.expected(subdomain)) ? (here(subdomain) ?? atPeer(subdomain)) : undefined

  const reached = async (subdomain: string): Promise<Found> => {
    const found = (await atPeer(subdomain)) ?? here(subdomain)
    if (found) return found
    // The agents of a relay that has died are about to connect to another.
    arrivals.gone(subdomain)
    return (await awaited(subdomain)) ?? 'unavailable'
  }
  const later = async (subdomain: string): Promise<Found> =>
    (await awaited(subdomain)) ?? known.faultOf(subdomain)

  return (subdomain) => {
    const agent = here(subdomain)
    if (agent) return agent
    const route = anyOf(elsewhere(subdomain))
    if (!route) return connections.at(subdomain).length > 0 ? 'too_many' : later(subdomain)
    const carrier = peers.carrier(route)
    return carrier instanceof Promise ? reached(subdomain) : over(carrier, route)
  }
}

/** Where a name has just changed hands, the routes of the tunnel whose agent was let through last. */
function ofNewest(routes: readonly LiveRoute[]): readonly LiveRoute[] {
  const [first] = routes
  if (first === undefined || routes.every((route) => route.tunnelId === first.tunnelId)) return routes
  const newest = routes.reduce((one, other) => (isNewer(other, one) ? other : one))
  return routes.filter((route) => route.tunnelId === newest.tunnelId)
}

const anyOf = <Item>(items: readonly Item[]): Item | undefined =>
  items[Math.floor(Math.random() * items.length)]
