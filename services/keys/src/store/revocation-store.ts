import type { ISql } from '@instatunnel/kit/postgres'
import type { Key } from '../domain/key.ts'
import { isLeaked } from '../domain/revocation.ts'
import { holdKeysOf } from './key-store.ts'

// So many rows at once: whoever wants one of them waits little.
const PURGED_AT_ONCE = 1000

/** Marks a key as revoked; false where it was before. */
export async function markRevoked(tx: ISql, id: string, reason: string, now: Date): Promise<boolean> {
  const { count } = await tx`
    update api_keys
    set revoked_at = ${now}, revoked_reason = ${reason === '' ? null : reason}, exposes_tokens = ${isLeaked(reason)},
      updated_at = ${now}
    where id = ${id} and revoked_at is null`
  return count === 1
}

/** Changes why a key was revoked: it is known to have leaked now. */
export async function markLeaked(tx: ISql, id: string, reason: string, now: Date): Promise<void> {
  await tx`
    update api_keys set revoked_reason = ${reason}, exposes_tokens = true, updated_at = ${now} where id = ${id}`
}

/** Marks all of a user's keys as revoked, and returns those that were not before. */
export async function markAllRevoked(
  tx: ISql,
  userId: string,
  reason: string,
  now: Date,
): Promise<Pick<Key, 'id' | 'userId'>[]> {
  await holdKeysOf(tx, userId)
  // Locked in one order, so that two such calls never wait for one another.
  await tx`select from api_keys where user_id = ${userId} and revoked_at is null order by id for no key update`
  return tx<Pick<Key, 'id' | 'userId'>[]>`
    update api_keys
    set revoked_at = ${now}, revoked_reason = ${reason === '' ? null : reason}, exposes_tokens = ${isLeaked(reason)},
      updated_at = ${now}
    where user_id = ${userId} and revoked_at is null
    returning id, user_id`
}

/** Marks a key as not revoked. */
export async function unmarkRevoked(tx: ISql, id: string, now: Date): Promise<void> {
  await tx`
    update api_keys set revoked_at = null, revoked_reason = null, updated_at = ${now} where id = ${id}`
}

/** Deletes keys that were revoked no later than this, and all that is kept of them; true where there may be more. */
export async function purgeRevoked(tx: ISql, until: Date): Promise<boolean> {
  const { count } = await tx`
    delete from api_keys
    where id in (
      select id from api_keys where revoked_at <= ${until} order by id limit ${PURGED_AT_ONCE} for update skip locked)`
  return count === PURGED_AT_ONCE
}
