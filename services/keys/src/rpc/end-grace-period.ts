import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ApiKey, EndGracePeriodRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { availableTo, keyIdFrom } from '../domain/key.ts'
import { oldSecretInForce } from '../domain/old-secret.ts'
import { findKey, lockKey } from '../store/key-store.ts'
import { tellUpdated } from '../store/outbox.ts'
import { dropOldSecret } from '../store/rotation-store.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './key-message.ts'
import { refuseUnheld } from './refuse-unheld.ts'

/** Ends the grace period of an old secret: of the caller's own key, or of anyone's with admin:write. */
export const endGracePeriod =
  ({ sql, now, evict }: Deps): Unary<EndGracePeriodRequest, ApiKey> =>
  async (request, call) => {
    const caller = identityOf(call)
    const id = keyIdFrom(request.id)
    const { before, after } = await sql.begin(async (tx) => {
      const before = availableTo(caller, 'admin:write', await lockKey(tx, id))
      refuseUnheld(caller, before.permissions)
      const time = now()
      if (!oldSecretInForce(before, time)) return { before, after: before }
      await dropOldSecret(tx, { id, now: time })
      await tellUpdated(tx, before, ['old_secret'], time)
      return { before, after: (await findKey(tx, id)) ?? before }
    })
    if (after !== before) await evict({ keys: [id] })
    return messageOf(after, now())
  }
