import type { RegenerateTokenResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { tunnelPath } from '../../calls/tunnels.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { connectionsCut } from '../../show/connections-cut.ts'

/** `instatunnel tunnels regenerate-token` */
export const regenerateToken = (deps: Deps): Command =>
  new Command('regenerate-token')
    .description('give a tunnel a new token; agents with the old one are cut off')
    .argument('<tunnel>', 'its id or its subdomain')
    .action(async (named: string) => {
      const api = await signedIn(deps)
      const path = `${await tunnelPath(api, named)}/regenerate-token`
      const answer: Json<RegenerateTokenResponse> = await api.call('POST', path, { body: {} })
      deps.output.result(answer, [
        '✅ Token regenerated',
        `🔑 Token: ${answer.token}`,
        ...connectionsCut(answer.connections_cut),
      ])
    })
