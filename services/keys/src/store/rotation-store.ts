import type { ISql } from '@instatunnel/kit/postgres'
import type { KeptSecret } from '../domain/secret.ts'

// So many rows at once: whoever wants one of them waits little.
const DROPPED_AT_ONCE = 1000

/** Gives a locked key another secret; the one before is found until the grace ends, not at all where there is none. */
export async function rotateSecret(
  tx: ISql,
  { id, now, graceEndsAt }: { id: string; now: Date; graceEndsAt: Date | null },
  { prefix, start, masked, hash, pepperId }: KeptSecret,
): Promise<void> {
  const old = tx`
    old_hash = hash, old_pepper_id = pepper_id, old_masked = masked, old_last_request = null,
    rotated_at = ${now}, old_ends_at = ${graceEndsAt}`
  await tx`
    update api_keys
    set ${graceEndsAt ? old : nothingOld(tx)}, prefix = ${prefix}, start = ${start}, masked = ${masked}, hash = ${hash},
      pepper_id = ${pepperId}, rotations = rotations + 1, updated_at = ${now}
    where id = ${id}`
}

/** Forgets the secret before the last rotation. */
export async function dropOldSecret(tx: ISql, { id, now }: { id: string; now: Date }): Promise<void> {
  await tx`update api_keys set ${nothingOld(tx)}, updated_at = ${now} where id = ${id}`
}

/** Forgets old secrets whose grace has ended, some at once; true where there may be more. */
export async function dropEndedSecrets(tx: ISql, until: Date): Promise<boolean> {
  const { count } = await tx`
    update api_keys set ${nothingOld(tx)}
    where id in (
      select id from api_keys where old_ends_at <= ${until} order by id limit ${DROPPED_AT_ONCE}
      for no key update skip locked)`
  return count === DROPPED_AT_ONCE
}

const nothingOld = (sql: ISql) => sql`
  old_hash = null, old_pepper_id = null, old_masked = null, old_last_request = null,
  rotated_at = null, old_ends_at = null`
