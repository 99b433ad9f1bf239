import { Command } from 'commander'
import { type Deps, signedIn } from '../../deps.ts'
import { tableOf } from '../../table.ts'
import { listAllTunnels } from '../../tunnels.ts'

/** `instatunnel tunnels list` */
export const listTunnels = (deps: Deps): Command =>
  new Command('list').description('list your tunnels, newest first').action(async () => {
    const tunnels = await listAllTunnels(await signedIn(deps))
    const rows = tunnels.map(({ id, name, subdomain, local_port, status, url }) => ({
      ID: id,
      NAME: name,
      SUBDOMAIN: subdomain,
      PORT: String(local_port),
      STATUS: status,
      URL: url,
    }))
    deps.output.result(
      { tunnels },
      rows.length === 0 ? ['No tunnels yet: instatunnel tunnels create --help'] : tableOf(rows),
    )
  })
