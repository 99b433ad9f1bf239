import type { Unary } from '@instatunnel/kit/unary'
import type {
  ListTunnelNamesRequest,
  ListTunnelNamesResponse,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { listNames } from '../store/tunnel-store.ts'
import type { Deps } from './deps.ts'

/** Names a user's tunnels, those of some subdomains or all. */
export const listTunnelNames =
  ({ sql }: Deps): Unary<ListTunnelNamesRequest, ListTunnelNamesResponse> =>
  async ({ userId, within: patterns }) => ({ tunnels: await listNames(sql, { userId, patterns }) })
