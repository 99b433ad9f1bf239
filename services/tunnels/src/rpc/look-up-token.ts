import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  LookUpTokenRequest,
  TokenRecord,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { findTunnelByToken } from '../store/tunnel-record-store.ts'
import type { Deps } from './deps.ts'

/** Finds the tunnel that a token connects, under whichever pepper the token was stored. */
export const lookUpToken =
  ({ sql, peppers }: Deps): Unary<LookUpTokenRequest, TokenRecord> =>
  async ({ digest }) => {
    const record = await findTunnelByToken(sql, peppers.candidates(digest))
    if (!record) throw new Refusal('TOKEN_UNKNOWN', 'No tunnel has this token')
    return record
  }
