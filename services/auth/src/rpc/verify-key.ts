import type { Unary } from '@instatunnel/kit/unary'
import type {
  VerifyKeyRequest,
  VerifyKeyResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Deps } from './deps.ts'

/** Decides whether a key may be used now, and counts the use where it may. */
export const verifyKey =
  ({ gate }: Deps): Unary<VerifyKeyRequest, VerifyKeyResponse> =>
  async ({ digest, permissions }) => ({ code: await gate.verifyKey(digest, permissions) })
