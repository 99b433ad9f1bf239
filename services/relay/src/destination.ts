import { isNewer, type LiveRoute, type RelayRoutes } from '@instatunnel/kit/relay-routes'
import type { Arrivals } from './arrivals.ts'
import type { Carrier, Connections } from './connections.ts'
import type { Origin } from './domain/origin.ts'
import type { VisitorFault } from './domain/visitor-error.ts'
import type { Meter } from './events/tunnel-usage.ts'
import type { KnownTunnels } from './known-tunnels.ts'
import type { Peers } from './peers.ts'

/** Where a visitor's request goes, and what counts it. */
export interface Destination {
  readonly carrier: Carrier
  readonly meter: Meter
  /** The tunnel's own limit, where it has one: how long nothing may move while it is the local server's turn; 0 for none. */
  readonly responseTimeoutMs?: number | undefined
}

type Found = Destination | VisitorFault

/** Finds where a subdomain's requests of an origin go now, or why they go nowhere; at once where an agent is connected here. */
export type FindDestination = (subdomain: string, origin: Origin) => Found | Promise<Found>

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

  const over = (
    carrier: Carrier,
    { tunnelId, userId, responseTimeout }: Pick<LiveRoute, 'tunnelId' | 'userId' | 'responseTimeout'>,
  ): Destination => ({
    carrier,
    meter: meterOf(tunnelId, userId),
    responseTimeoutMs: responseTimeout === undefined ? undefined : responseTimeout * 1000,
  })
  const here = (subdomain: string, origin: Origin): Found | undefined => {
    const connection = connections.leastBusy(connections.at(subdomain), origin)
    if (connection === undefined || typeof connection === 'string') return connection
    return over(connection, connection)
  }
  const elsewhere = (subdomain: string): readonly LiveRoute[] =>
    ofNewest(routes.routesTo(subdomain)).filter((route) => route.relayId !== relayId)
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
  const awaited = async (subdomain: string, origin: Origin): Promise<Found | undefined> =>
    (await arrivals.expected(subdomain)) ? (here(subdomain, origin) ?? atPeer(subdomain)) : undefined

  const reached = async (subdomain: string, origin: Origin): Promise<Found> => {
    const found = (await atPeer(subdomain)) ?? here(subdomain, origin)
    if (found) return found
    // The agents of a relay that has died are about to connect to another.
    arrivals.gone(subdomain)
    return (await awaited(subdomain, origin)) ?? 'unavailable'
  }
  const later = async (subdomain: string, origin: Origin): Promise<Found> =>
    (await awaited(subdomain, origin)) ?? known.faultOf(subdomain)

  return (subdomain, origin) => {
    const found = here(subdomain, origin)
    if (found !== undefined && typeof found !== 'string') return found
    const route = anyOf(elsewhere(subdomain))
    if (!route) return found ?? later(subdomain, origin)
    const carrier = peers.carrier(route)
    return carrier instanceof Promise ? reached(subdomain, origin) : over(carrier, route)
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
