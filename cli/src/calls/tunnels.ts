import type { Tunnel as TunnelMessage } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import type { Api } from '../api.ts'
import { Refused } from '../exit.ts'
import { fields, flag, number, optional, type Shape, text, time } from '../shape.ts'
import { allPages } from './all-pages.ts'
import type { Json } from './json.ts'

/** A tunnel as the API shows it. */
export type Tunnel = Json<TunnelMessage>

/** What `--response-timeout` means. */
export const RESPONSE_TIMEOUT = 'how long the local server may take to answer: 90, 5m, 1h; 0 for no limit'

/** What the command reads of a tunnel. */
export const TUNNEL_SHAPE: Shape = fields({
  ...{ id: text, name: text, subdomain: text, local_port: number, token: text, status: text, url: text },
  ...{ last_connected: optional(time), ephemeral: flag, response_timeout: optional(number) },
})

/** The same, of the answer to making one. */
export const CREATED_SHAPE: Shape = fields({ tunnel: TUNNEL_SHAPE })

/** Every tunnel of the account, newest first. */
export const listAllTunnels = (api: Api): Promise<Tunnel[]> =>
  allPages(api, { path: '/v1/tunnels', field: 'tunnels', item: TUNNEL_SHAPE })

/** The account's tunnel with this subdomain. */
export async function findTunnel(api: Api, subdomain: string): Promise<Tunnel | undefined> {
  const wanted = subdomain.toLowerCase()
  return (await listAllTunnels(api)).find((tunnel) => tunnel.subdomain === wanted)
}

/** The path of the tunnel that is named by its id or its subdomain. Ids have an underscore, subdomains never. */
export async function tunnelPath(api: Api, named: string): Promise<string> {
  const id = named.startsWith('tun_') ? named : (await findTunnel(api, named))?.id
  if (id === undefined) throw new Refused('not_found', `You have no tunnel with the subdomain "${named}"`)
  return `/v1/tunnels/${encodeURIComponent(id)}`
}
