import type { LiveRoute, RelayRoutes } from '@instatunnel/kit/relay-routes'
import type { Arrivals } from './arrivals.ts'
import type { Connection, Connections } from './connections.ts'
import type { Renamed } from './domain/renamed.ts'
import type { EndedCredentials } from './ended-credentials.ts'
import type { KnownTunnels } from './known-tunnels.ts'

/**
 * Takes in that a tunnel was renamed: at once its former name has no agent here or elsewhere, and visitors of the new
 * one wait for its agents, which are told to connect anew. Told twice, the second time changes nothing.
 */
export const createRenames =
  (options: {
    readonly connections: Connections
    readonly routes: Pick<RelayRoutes, 'routesOf' | 'routesTo' | 'forget'>
    readonly arrivals: Arrivals
    readonly known: Pick<KnownTunnels, 'forget'>
    readonly ended: EndedCredentials
  }) =>
  ({ tunnelId, subdomain, former, at }: Renamed): void => {
    const { connections, routes, arrivals, known, ended } = options
    ended.renamed(tunnelId, subdomain, at)
    const isFormer = (agent: Connection | LiveRoute) =>
      ended.since({ ...agent, issuedAt: agent.issuedAt ?? 0 })
    const formers = [...connections.ofTunnel(tunnelId), ...routes.routesOf(tunnelId)].filter(isFormer)
    const names = new Set(formers.map((agent) => agent.subdomain))
    if (former !== undefined) names.add(former)
    connections.retire((each) => each.tunnelId === tunnelId && isFormer(each), 'tunnel_changed')
    routes.forget(tunnelId, isFormer)
    for (const name of [subdomain, ...names]) known.forget(name)
    for (const name of names) arrivals.arrived(name)
    const isThere = connections.at(subdomain).length > 0 || routes.routesTo(subdomain).length > 0
    if (formers.length > 0 && !isThere) arrivals.gone(subdomain)
  }
