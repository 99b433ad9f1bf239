import { isGoawayReason } from '@instatunnel/kit/goaway'
import { isId } from '@instatunnel/kit/id'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  CutConnectionsRequest,
  CutConnectionsResponse,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { z } from 'zod'
import { CREDENTIALS } from '../domain/cut.ts'
import type { Deps } from './deps.ts'

const request = z.object({
  credentialType: z.enum(['api_key', 'session', 'tunnel_token'], 'must be api_key, session or tunnel_token'),
  credentialId: z.string(),
  reason: z.string().refine(isGoawayReason, 'must be a reason that agents know'),
})

/** Has the live connections that a credential was admitted with cut off; what is no credential's id has none. */
export const cutConnections =
  (deps: Deps): Unary<CutConnectionsRequest, CutConnectionsResponse> =>
  async (asked) => {
    const { credentialType, credentialId, reason } = validate(request, asked)
    if (!isId(credentialId, CREDENTIALS[credentialType])) return { connectionsCut: 0 }
    return { connectionsCut: await deps.cutConnections({ credentialType, credentialId, reason }) }
  }
