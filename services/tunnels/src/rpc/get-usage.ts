import type { Unary } from '@instatunnel/kit/unary'
import type {
  GetUsageRequest,
  GetUsageResponse,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { findUsage } from '../store/usage-store.ts'
import type { Deps } from './deps.ts'

/** Returns what a user has used. */
export const getUsage =
  ({ sql }: Deps): Unary<GetUsageRequest, GetUsageResponse> =>
  async ({ userId }) =>
    findUsage(sql, userId)
