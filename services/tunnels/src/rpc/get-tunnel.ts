import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { GetTunnelRequest, Tunnel } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { availableTo, tunnelIdFrom } from '../domain/tunnel.ts'
import { findTunnel } from '../store/tunnel-store.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './tunnel-message.ts'

/** Returns one tunnel: the caller's own, or anyone's to admin:read. */
export const getTunnel =
  (deps: Deps): Unary<GetTunnelRequest, Tunnel> =>
  async (request, call) => {
    const caller = identityOf(call)
    const tunnel = await findTunnel(deps.sql, tunnelIdFrom(request.id))
    return messageOf(availableTo(caller, 'admin:read', tunnel), caller, deps)
  }
