import { scopeMissing } from '@instatunnel/kit/guard'
import type { Identity } from '@instatunnel/kit/identity'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { DeleteKeyRequest, DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { availableTo, type Key, keyIdFrom, visibleTo } from '../domain/key.ts'
import { inForce } from '../domain/permission.ts'
import { isLeaked } from '../domain/revocation.ts'
import { lockKey } from '../store/key-store.ts'
import { tellRevoked, tellUpdated } from '../store/outbox.ts'
import { markLeaked, markRevoked } from '../store/revocation-store.ts'
import { cutConnections } from './cut-connections.ts'
import type { Deps } from './deps.ts'
import { deletionFields } from './key-fields.ts'
import { leakedTokens, NOT_LEAKED } from './leaked-tokens.ts'
import { refuseUnheld } from './refuse-unheld.ts'

/**
 * Revokes a key: the caller's own, or anyone's with admin:write; then every replica of auth forgets it and its live
 * connections are cut off. Of a session's key it ends the key only. Of one that leaked, it tells of the tunnels' tokens.
 */
export const deleteKey =
  (deps: Deps): Unary<DeleteKeyRequest, DeleteKeyResponse> =>
  async (request, call) => {
    const { sql, evict, tunnels, log } = deps
    const caller = identityOf(call)
    const { reason, regenerate } = validate(deletionFields, request)
    if (regenerate && !caller.scopes.has('tunnels:write')) throw scopeMissing('tunnels:write')
    const id = keyIdFrom(request.id)
    const key = await sql.begin(async (tx) => {
      const time = deps.now()
      const key = deletableBy(caller, await lockKey(tx, id), { reason, now: time })
      refuseUnheld(caller, inForce(key, caller))
      if (await markRevoked(tx, id, reason, time)) await tellRevoked(tx, key, reason, time)
      else if (!isLeaked(key.revokedReason)) {
        await markLeaked(tx, id, reason, time)
        await tellUpdated(tx, key, ['revoked_reason'], time)
      }
      return key
    })
    const [receipt, connectionsCut] = await Promise.all([
      timed(() => evict({ keys: [id] })),
      cutConnections({ tunnels, log }, id),
    ])
    // Only now: a replica that still admitted the key would show it the new tokens.
    const mayBeNamed = caller.scopes.has('tunnels:read')
    const leaked = isLeaked(reason)
      ? await leakedTokens(deps, { keys: { id }, userId: key.userId, caller, mayBeNamed, regenerate })
      : NOT_LEAKED
    return {
      success: true,
      ...leaked,
      connectionsCut: connectionsCut + leaked.connectionsCut,
      replicasAcked: receipt.acked.length,
      replicasTotal: receipt.total,
      tookMs: receipt.tookMs,
    }
  }

/** The key that is to be deleted: also one that was before, where it is now known to have leaked. */
const deletableBy = (
  caller: Identity,
  key: Key | undefined,
  { reason, now }: { reason: string; now: Date },
): Key =>
  isLeaked(reason) ? visibleTo(caller, 'admin:write', key, now) : availableTo(caller, 'admin:write', key)

/** What is done, and how many milliseconds it took, to the hundredth. */
async function timed<Result extends object>(
  work: () => Promise<Result>,
): Promise<Result & { tookMs: number }> {
  const began = performance.now()
  const result = await work()
  return { ...result, tookMs: Math.round((performance.now() - began) * 100) / 100 }
}
