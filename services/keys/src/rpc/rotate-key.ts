import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { RotateKeyRequest, RotateKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { availableTo, keyIdFrom } from '../domain/key.ts'
import { graceEnd } from '../domain/old-secret.ts'
import { issueSecret } from '../domain/secret.ts'
import { refuseSessionKey } from '../domain/session-key.ts'
import { findKey, lockKey } from '../store/key-store.ts'
import { tellRotated } from '../store/outbox.ts'
import { rotateSecret } from '../store/rotation-store.ts'
import type { Deps } from './deps.ts'
import { rotationFields } from './key-fields.ts'
import { messageOf } from './key-message.ts'
import { refuseUnbound, refuseUnheld } from './refuse-unheld.ts'

/** Gives a key another secret and tells it, this once: the caller's own key, or anyone's with admin:write. */
export const rotateKey =
  ({ sql, now, random, peppers, evict }: Deps): Unary<RotateKeyRequest, RotateKeyResponse> =>
  async (request, call) => {
    const caller = identityOf(call)
    const { gracePeriod } = validate(rotationFields, request)
    const id = keyIdFrom(request.id)
    const { key, secret } = await sql.begin(async (tx) => {
      const before = availableTo(caller, 'admin:write', await lockKey(tx, id))
      refuseSessionKey(before)
      refuseUnheld(caller, before.permissions)
      refuseUnbound(caller, before)
      const { secret, kept } = issueSecret(before.prefix, { random, peppers })
      const time = now()
      const graceEndsAt = graceEnd(gracePeriod, time)
      await rotateSecret(tx, { id, now: time, graceEndsAt }, kept)
      await tellRotated(tx, before, graceEndsAt, time)
      return { key: (await findKey(tx, id)) ?? before, secret }
    })
    await evict({ keys: [id] })
    return { apiKey: messageOf(key, now()), key: secret }
  }
