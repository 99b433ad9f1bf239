import type { ISql } from '@instatunnel/kit/postgres'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ApiKey, UpdateKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { changedFields, isMeterChanged, isServerOnly } from '../domain/change.ts'
import { availableTo, type Key, keyIdFrom } from '../domain/key.ts'
import { meteredAsOf, refillFrom, wholeMetering } from '../domain/metering.ts'
import { refuseSessionKey } from '../domain/session-key.ts'
import { findKey, lockKey, saveKey } from '../store/key-store.ts'
import { findHolders, setRemaining, settleRefills } from '../store/lease-store.ts'
import { saveMeter } from '../store/meter-store.ts'
import { tellUpdated } from '../store/outbox.ts'
import { type Choices, choicesIn } from './choices.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './key-message.ts'
import { untilLeasesFit } from './leases-fit.ts'
import { refuseServerOnly } from './refuse-server-only.ts'
import { refuseUnbound, refuseUnheld } from './refuse-unheld.ts'

/** Changes a key: the caller's own, or anyone's with admin:write. An update that changes nothing is not told. */
export const updateKey =
  ({ sql, now, evict, recall }: Deps): Unary<UpdateKeyRequest, ApiKey> =>
  async (request, call) => {
    const caller = identityOf(call)
    const choices = choicesIn(request)
    if (choices.holdsServerOnly) refuseServerOnly(caller)
    const id = keyIdFrom(request.id)
    if (choices.sets.has('remaining') && choices.holdsServerOnly) {
      // What was used before is not to count against the new number: whoever can tell of it does so first.
      const holders = await findHolders(sql, id, now())
      if (holders.length > 0) await recall(id, holders)
    }

    const { before, after } = await sql.begin(async (tx) => {
      const found = availableTo(caller, 'admin:write', await lockKey(tx, id))
      refuseSessionKey(found)
      const time = now()
      const before = meteredAsOf(found, time)
      const wanted = wholeMetering({ ...before, ...choices.chosenOf(before, caller, time), updatedAt: time })
      refuseUnheld(caller, [...before.permissions, ...wanted.permissions])
      for (const each of [before, wanted]) refuseUnbound(caller, each)
      if (isServerOnly(changedFields(before, wanted)) || countsDownAnew(wanted, choices))
        refuseServerOnly(caller)
      return { before, after: await change(tx, before, wanted, choices) }
    })
    // Refusals, too: whoever was refused for it being disabled is not to wait.
    if (after !== before)
      await evict({ keys: [id], ...(after.enabled && !before.enabled && { refusals: true }) })
    if (isServerOnly(changedFields(before, after)) || choices.sets.has('remaining'))
      await untilLeasesFit({ sql, now, recall }, id, call.signal)
    return messageOf(after, now())
  }

/** Writes what is to change, and tells it; the key as it is then, which is `before` where nothing changes. */
async function change(tx: ISql, before: Key, wanted: Key, choices: Choices): Promise<Key> {
  const { id, updatedAt } = wanted
  const changed = changedFields(before, wanted)
  const setsRemaining = changed.includes('remaining') || countsDownAnew(wanted, choices)
  const countsAnew = setsRemaining || isMeterChanged(changed)
  if (countsAnew) {
    await settleRefills(tx, id, updatedAt)
    const meter = { ...wanted, refillFrom: refillFrom(before, wanted, updatedAt) }
    await saveMeter(tx, id, meter, { setsRemaining })
    if (setsRemaining) await setRemaining(tx, id, wanted.remaining, updatedAt)
  }
  if (changed.length > 0) {
    await saveKey(tx, wanted)
    await tellUpdated(tx, wanted, changed, updatedAt)
  }
  return changed.length > 0 || countsAnew ? ((await findKey(tx, id)) ?? wanted) : before
}

/**
 * True where the number of uses is set, also to the one before: what is leased of that is taken back, and what was used
 * of it may not be settled yet.
 */
const countsDownAnew = ({ remaining }: Key, { sets }: Choices) => sets.has('remaining') && remaining !== null
