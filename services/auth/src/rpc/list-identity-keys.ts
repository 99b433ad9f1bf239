import type { Unary } from '@instatunnel/kit/unary'
import type {
  ListIdentityKeysRequest,
  ListIdentityKeysResponse,
} from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Deps } from './deps.ts'

/** Returns the public keys that identity tokens are verified with. */
export const listIdentityKeys =
  ({ signingKeys }: Deps): Unary<ListIdentityKeysRequest, ListIdentityKeysResponse> =>
  async () => ({ keys: signingKeys.identityKeys() })
