import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type {
  RegenerateTokenRequest,
  RegenerateTokenResponse,
} from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { regenerationsWith } from '../domain/regeneration.ts'
import { issueToken } from '../domain/token.ts'
import { availableTo, refuseBounded, tunnelIdFrom } from '../domain/tunnel.ts'
import { tellTokenRegenerated } from '../store/outbox.ts'
import { lockTunnel, replaceToken } from '../store/tunnel-store.ts'
import type { Deps } from './deps.ts'

/**
 * Gives a tunnel a new token, so many times an hour; counted where the old token is replaced, so exactly. Agents that
 * connected with the old one are cut off before it is answered.
 */
export const regenerateToken =
  (deps: Deps): Unary<RegenerateTokenRequest, RegenerateTokenResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    refuseBounded(caller)
    const id = tunnelIdFrom(request.id)
    const { token, kept } = issueToken(id, deps)
    const tokenGeneration = await deps.sql.begin(async (tx) => {
      const tunnel = availableTo(caller, 'admin:write', await lockTunnel(tx, id))
      const now = deps.now()
      const regeneratedAt = regenerationsWith(now, tunnel.regeneratedAt, deps.regenerationsPerHour)
      const generation = await replaceToken(tx, id, kept, { regeneratedAt, now })
      await tellTokenRegenerated(tx, tunnel, now)
      return generation
    })
    const connectionsCut = await deps.cutConnections({
      credentialType: 'tunnel_token',
      credentialId: id,
      reason: 'token_regenerated',
      tokenGeneration,
    })
    return { success: true, token, connectionsCut }
  }
