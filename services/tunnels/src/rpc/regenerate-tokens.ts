import type { Unary } from '@instatunnel/kit/unary'
import type {
  RegenerateTokensRequest,
  RegenerateTokensResponse,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { issueToken } from '../domain/token.ts'
import { tellTokenRegenerated } from '../store/outbox.ts'
import { lockTunnelsOf, replaceToken } from '../store/tunnel-store.ts'
import { cutAll } from './cut-all.ts'
import type { Deps } from './deps.ts'

/**
 * Gives a user's tunnels, those of some subdomains or all, new tokens: all of them or none. Agents that connected with
 * an old one are cut off before it is answered. It does not count against the hourly limit: what leaked must end.
 */
export const regenerateTokens =
  (deps: Deps): Unary<RegenerateTokensRequest, RegenerateTokensResponse> =>
  async ({ userId, within: patterns }) => {
    const regenerated = await deps.sql.begin(async (tx) => {
      const now = deps.now()
      const tunnels = await lockTunnelsOf(tx, { userId, patterns })
      const done: { id: string; name: string; tokenGeneration: number }[] = []
      for (const tunnel of tunnels) {
        const { id, name, regeneratedAt } = tunnel
        const { kept } = issueToken(id, deps)
        done.push({ id, name, tokenGeneration: await replaceToken(tx, id, kept, { regeneratedAt, now }) })
        await tellTokenRegenerated(tx, tunnel, now)
      }
      return done
    })
    const connectionsCut = await cutAll(deps.cutConnections, regenerated)
    return { tunnels: regenerated.map(({ id, name }) => ({ id, name })), connectionsCut }
  }
