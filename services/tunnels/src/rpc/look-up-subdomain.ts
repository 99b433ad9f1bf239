import type { Unary } from '@instatunnel/kit/unary'
import type {
  LookUpSubdomainRequest,
  TunnelRecord,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { isLabel } from '../domain/subdomain.ts'
import { tunnelNotFound } from '../domain/tunnel.ts'
import { findTunnelRecord } from '../store/tunnel-record-store.ts'
import type { Deps } from './deps.ts'

/** Finds the tunnel that has a subdomain; what no tunnel can have, it does not look for. */
export const lookUpSubdomain =
  ({ sql }: Deps): Unary<LookUpSubdomainRequest, TunnelRecord> =>
  async ({ subdomain }) => {
    const record = isLabel(subdomain) ? await findTunnelRecord(sql, 'subdomain', subdomain) : undefined
    if (!record) throw tunnelNotFound()
    return record
  }
