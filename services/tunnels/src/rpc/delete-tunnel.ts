import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { DeleteTunnelRequest, DeleteTunnelResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { availableTo, tunnelIdFrom } from '../domain/tunnel.ts'
import { tellDeleted } from '../store/outbox.ts'
import { lockTunnel, deleteTunnel as remove } from '../store/tunnel-store.ts'
import type { Deps } from './deps.ts'

/** Deletes a tunnel: the caller's own, or anyone's with admin:write. */
export const deleteTunnel =
  ({ sql, now }: Deps): Unary<DeleteTunnelRequest, DeleteTunnelResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const id = tunnelIdFrom(request.id)
    await sql.begin(async (tx) => {
      const tunnel = availableTo(caller, 'admin:write', await lockTunnel(tx, id))
      await remove(tx, id)
      await tellDeleted(tx, tunnel, now())
    })
    return { success: true, message: 'Tunnel deleted' }
  }
