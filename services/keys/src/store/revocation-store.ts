import type { ISql } from '@instatunnel/kit/postgres'

// So many rows at once: whoever wants one of them waits little.
const PURGED_AT_ONCE = 1000

/** Marks a key as revoked; false where it was before. */
export async function markRevoked(tx: ISql, id: string, reason: string, now: Date): Promise<boolean> {
  const { count } = await tx`
    update api_keys
    set revoked_at = ${now}, revoked_reason = ${reason === '' ? null : reason}, updated_at = ${now}
    where id = ${id} and revoked_at is null`
  return count === 1
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
