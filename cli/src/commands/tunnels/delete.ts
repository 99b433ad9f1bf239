import type { DeleteTunnelResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { tunnelPath } from '../../calls/tunnels.ts'
import { type Deps, signedIn } from '../../deps.ts'

/** `instatunnel tunnels delete` */
export const deleteTunnel = (deps: Deps): Command =>
  new Command('delete')
    .description('delete a tunnel; its subdomain is free at once')
    .argument('<tunnel>', 'its id or its subdomain')
    .action(async (named: string) => {
      const api = await signedIn(deps)
      const path = await tunnelPath(api, named)
      const answer: Json<DeleteTunnelResponse> = await api.call('DELETE', path)
      deps.output.result(answer, ['✅ Tunnel deleted'])
    })
