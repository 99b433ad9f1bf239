import type { Unary } from '@instatunnel/kit/unary'
import type {
  LookUpTunnelRequest,
  TunnelRecord,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { tunnelIdFrom, tunnelNotFound } from '../domain/tunnel.ts'
import { findTunnelRecord } from '../store/tunnel-record-store.ts'
import type { Deps } from './deps.ts'

/** Finds a tunnel by its id, whoever has it. */
export const lookUpTunnel =
  ({ sql }: Deps): Unary<LookUpTunnelRequest, TunnelRecord> =>
  async ({ tunnelId }) => {
    const record = await findTunnelRecord(sql, tunnelIdFrom(tunnelId))
    if (!record) throw tunnelNotFound()
    return record
  }
