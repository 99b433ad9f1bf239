import { CONNECT_CREDENTIALS } from '@instatunnel/kit/connect'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  CheckConnectionRequest,
  CheckConnectionResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { z } from 'zod'
import type { Deps } from './deps.ts'

const request = z.object({
  tunnelId: z.string(),
  credentialType: z.enum(CONNECT_CREDENTIALS, 'must be api_key, session or tunnel_token'),
  credentialId: z.string(),
  tokenGeneration: z.int(),
  secretGeneration: z.int(),
  mode: z.enum(['', 'mcp'], 'must be mcp, or empty'),
  address: z.string().optional(),
})

/** Tells why a connection that was admitted must end; an empty reason, and until when, where it may live on. */
export const checkConnection =
  ({ gate }: Deps): Unary<CheckConnectionRequest, CheckConnectionResponse> =>
  async (input, { signal }) => {
    const { credentialType: type, credentialId: id, ...rest } = validate(request, input)
    return gate.checkConnection({ ...rest, credential: { type, id } }, signal)
  }
