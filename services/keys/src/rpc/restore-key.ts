import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ApiKey, RestoreKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { keyIdFrom, visibleTo } from '../domain/key.ts'
import { refusePastLimit } from '../domain/key-limit.ts'
import { refuseUnrestorable } from '../domain/revocation.ts'
import { countKeys, lockKey } from '../store/key-store.ts'
import { tellUpdated } from '../store/outbox.ts'
import { unmarkRevoked } from '../store/revocation-store.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './key-message.ts'
import { refuseUnbound, refuseUnheld } from './refuse-unheld.ts'

/** Undoes within 24 hours that a key was revoked: the caller's own, or anyone's with admin:write. */
export const restoreKey =
  ({ sql, now, evict }: Deps): Unary<RestoreKeyRequest, ApiKey> =>
  async (request, call) => {
    const caller = identityOf(call)
    const id = keyIdFrom(request.id)
    const key = await sql.begin(async (tx) => {
      const found = await lockKey(tx, id)
      const time = now()
      const revoked = visibleTo(caller, 'admin:write', found, time)
      refuseUnrestorable(revoked, time)
      refuseUnheld(caller, revoked.permissions)
      refuseUnbound(caller, revoked)
      refusePastLimit(await countKeys(tx, revoked.userId))
      const restored = { ...revoked, revokedAt: null, revokedReason: null, updatedAt: time }
      await unmarkRevoked(tx, id, time)
      await tellUpdated(tx, restored, ['state'], time)
      return restored
    })
    await evict({ keys: [id], refusals: true })
    return messageOf(key, now())
  }
