import type { Identity } from '@instatunnel/kit/identity'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { validate } from '@instatunnel/kit/validate'
import type { ApiKey, UpdateKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { CHOICES, type Choice, type Chosen, changedFields, expiryOf } from '../domain/change.ts'
import { availableTo, type Key, keyIdFrom } from '../domain/key.ts'
import { allOfOwner } from '../domain/permission.ts'
import { refuseSessionKey } from '../domain/session-key.ts'
import { lockKey, saveKey } from '../store/key-store.ts'
import { tellUpdated } from '../store/outbox.ts'
import type { Deps } from './deps.ts'
import { changedKeyFields } from './key-fields.ts'
import { messageOf } from './key-message.ts'
import { refuseUnheld } from './refuse-unheld.ts'

/** Changes a key: the caller's own, or anyone's with admin:write. An update that changes nothing is not told. */
export const updateKey =
  ({ sql, now }: Deps): Unary<UpdateKeyRequest, ApiKey> =>
  async (request, call) => {
    const caller = identityOf(call)
    const chosenOf = choicesIn(request)
    const id = keyIdFrom(request.id)

    const key = await sql.begin(async (tx) => {
      const before = availableTo(caller, 'admin:write', await lockKey(tx, id))
      refuseSessionKey(before)
      const updatedAt = now()
      const after = { ...before, ...chosenOf(before, caller, updatedAt), updatedAt }
      refuseUnheld(caller, [...before.permissions, ...after.permissions])
      const changed = changedFields(before, after)
      if (changed.length === 0) return before
      await saveKey(tx, after)
      await tellUpdated(tx, after, changed, updatedAt)
      return after
    })
    return messageOf(key)
  }

/** Reads what a request sets, and what is left out of that: a field that is named and absent goes back to its default. */
function choicesIn(request: UpdateKeyRequest) {
  const { updateMask, ...given } = request
  const isPresent = (choice: Choice) => {
    if (choice === 'permissions') return given.permissions.length > 0
    return given[choice === 'expires_in' ? 'expiresIn' : choice] !== undefined
  }
  const set = fieldsToSet(updateMask, CHOICES, isPresent)
  const { name, permissions, metadata, expiresIn } = validate(changedKeyFields, {
    ...(set.has('name') && { name: given.name ?? '' }),
    ...(set.has('permissions') && { permissions: given.permissions }),
    ...(set.has('metadata') && { metadata: given.metadata ?? {} }),
    ...(set.has('expires_in') && given.expiresIn !== undefined && { expiresIn: given.expiresIn }),
  })
  return (key: Key, caller: Identity, now: Date): Partial<Chosen> => ({
    ...(name !== undefined && { name }),
    ...(permissions && { permissions: permissions.length > 0 ? permissions : allOfOwner(key, caller) }),
    ...(set.has('enabled') && { enabled: given.enabled ?? true }),
    ...(metadata && { metadata }),
    ...(set.has('expires_in') && { expiresAt: expiryOf(expiresIn, now) }),
  })
}
