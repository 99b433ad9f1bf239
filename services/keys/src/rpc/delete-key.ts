import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { DeleteKeyRequest, DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { availableTo, keyIdFrom } from '../domain/key.ts'
import { inForce } from '../domain/permission.ts'
import { lockKey, markRevoked } from '../store/key-store.ts'
import { tellRevoked } from '../store/outbox.ts'
import { cutConnections } from './cut-connections.ts'
import type { Deps } from './deps.ts'
import { reasonFields } from './key-fields.ts'
import { refuseUnheld } from './refuse-unheld.ts'

/**
 * Revokes a key: the caller's own, or anyone's with admin:write; then its live connections are cut off. Of a session's
 * key it ends the key only.
 */
export const deleteKey =
  ({ sql, now, tunnels, log }: Deps): Unary<DeleteKeyRequest, DeleteKeyResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const { reason } = validate(reasonFields, request)
    const id = keyIdFrom(request.id)
    await sql.begin(async (tx) => {
      const key = availableTo(caller, 'admin:write', await lockKey(tx, id))
      refuseUnheld(caller, inForce(key, caller))
      const time = now()
      await markRevoked(tx, id, time)
      await tellRevoked(tx, key, reason, time)
    })
    return { success: true, connectionsCut: await cutConnections({ tunnels, log }, id) }
  }
