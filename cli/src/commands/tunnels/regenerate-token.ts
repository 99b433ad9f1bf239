import type { RegenerateTokenResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { Command } from 'commander'
import { requireShape } from '../../api.ts'
import type { Json } from '../../calls/json.ts'
import { tunnelPath } from '../../calls/tunnels.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { fields, number, secret } from '../../shape.ts'
import { connectionsCut } from '../../show/connections-cut.ts'

/** What is read at first: a secret that was just made is shown before anything else can go wrong. */
const TOKEN_SHAPE = fields({ token: secret })

/** `instatunnel tunnels regenerate-token` */
export const regenerateToken = (deps: Deps): Command =>
  new Command('regenerate-token')
    .description('give a tunnel a new token; agents with the old one are cut off')
    .argument('<tunnel>', 'its id or its subdomain')
    .action(async (named: string) => {
      const api = await signedIn(deps)
      const path = `${await tunnelPath(api, named)}/regenerate-token`
      const answer: Json<RegenerateTokenResponse> = await api.call('POST', path, {
        body: {},
        shape: TOKEN_SHAPE,
      })
      deps.output.result(answer, ['✅ Token regenerated', `🔑 Token: ${answer.token}`])
      requireShape(api.url, answer, fields({ connections_cut: number }))
      deps.output.more(connectionsCut(answer.connections_cut))
    })
