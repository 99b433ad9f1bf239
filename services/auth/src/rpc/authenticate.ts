import type { Unary } from '@instatunnel/kit/unary'
import type {
  AuthenticateRequest,
  AuthenticateResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Deps } from './deps.ts'

/** Decides about a bearer that reached a service directly. */
export const authenticate =
  ({ gate }: Deps): Unary<AuthenticateRequest, AuthenticateResponse> =>
  async ({ bearer, method }, { signal }) => ({ identity: await gate.authenticate(bearer, method, signal) })
