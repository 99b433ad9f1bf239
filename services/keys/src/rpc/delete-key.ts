import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { DeleteKeyRequest, DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { availableTo, keyIdFrom } from '../domain/key.ts'
import { inForce } from '../domain/permission.ts'
import { lockKey } from '../store/key-store.ts'
import { tellRevoked } from '../store/outbox.ts'
import { markRevoked } from '../store/revocation-store.ts'
import { cutConnections } from './cut-connections.ts'
import type { Deps } from './deps.ts'
import { reasonFields } from './key-fields.ts'
import { refuseUnheld } from './refuse-unheld.ts'

/**
 * Revokes a key: the caller's own, or anyone's with admin:write; then every replica of auth forgets it and its live
 * connections are cut off. Of a session's key it ends the key only.
 */
export const deleteKey =
  ({ sql, now, evict, tunnels, log }: Deps): Unary<DeleteKeyRequest, DeleteKeyResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const { reason } = validate(reasonFields, request)
    const id = keyIdFrom(request.id)
    await sql.begin(async (tx) => {
      const key = availableTo(caller, 'admin:write', await lockKey(tx, id))
      refuseUnheld(caller, inForce(key, caller))
      const time = now()
      await markRevoked(tx, id, reason, time)
      await tellRevoked(tx, key, reason, time)
    })
    const [receipt, connectionsCut] = await Promise.all([
      timed(() => evict({ keys: [id] })),
      cutConnections({ tunnels, log }, id),
    ])
    const { acked, total, tookMs } = receipt
    return { success: true, connectionsCut, replicasAcked: acked.length, replicasTotal: total, tookMs }
  }

/** What is done, and how many milliseconds it took, to the hundredth. */
async function timed<Result extends object>(
  work: () => Promise<Result>,
): Promise<Result & { tookMs: number }> {
  const began = performance.now()
  const result = await work()
  return { ...result, tookMs: Math.round((performance.now() - began) * 100) / 100 }
}
