import { isId } from '@instatunnel/kit/id'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  GetUsageRequest,
  GetUsageResponse,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { findUsage } from '../store/usage-store.ts'
import type { Deps } from './deps.ts'

const NONE = { tunnelsCount: 0, tunnelsCreated: 0, dataTransferredBytes: 0, requestsServed: 0 }

/** Returns what a user has used; what is no user's id has used nothing. */
export const getUsage =
  ({ sql }: Deps): Unary<GetUsageRequest, GetUsageResponse> =>
  async ({ userId }) =>
    isId(userId, 'user_') ? findUsage(sql, userId) : NONE
