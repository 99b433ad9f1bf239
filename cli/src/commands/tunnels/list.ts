import { Command } from 'commander'
import { listAllTunnels, type Tunnel } from '../../calls/tunnels.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { dateOf } from '../../show/date.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel tunnels list` */
export const listTunnels = (deps: Deps): Command =>
  new Command('list').description('list your tunnels, newest first').action(async () => {
    const tunnels = await listAllTunnels(await signedIn(deps))
    const rows = tunnels.map(rowOf)
    deps.output.result({ tunnels }, rows.length > 0 ? tableOf(rows, deps.output) : ['No tunnels yet'])
  })

const rowOf = ({ id, name, subdomain, local_port, status, url, last_connected }: Tunnel) => ({
  ID: id,
  NAME: name,
  SUBDOMAIN: subdomain,
  PORT: String(local_port),
  STATUS: status,
  'LAST CONNECTED': last_connected === undefined ? 'Never' : dateOf(last_connected),
  URL: url,
})
