import type { ISql } from '@instatunnel/kit/postgres'
import type { Use } from '../domain/usage.ts'

const NEVER = '-infinity'

/**
 * Adds uses to their keys' counts; the last of them is never set back. One with a secret that was old before the last
 * rotation says nothing of the one that is old now.
 */
export async function addUses(tx: ISql, uses: readonly Use[]): Promise<void> {
  const ids = uses.map(({ keyId }) => keyId)
  const counts = uses.map(({ count }) => count)
  const lasts = uses.map(({ last }) => last.toISOString())
  const oldLasts = uses.map(({ lastWithOldSecret }) => lastWithOldSecret?.toISOString() ?? NEVER)
  await tx`
    update api_keys
    set request_count = request_count + used.count, last_request = greatest(last_request, used.last),
      old_last_request = case when used.old_last >= rotated_at
        then greatest(old_last_request, used.old_last) else old_last_request end
    from unnest(${ids}::text[], ${counts}::float8[], ${lasts}::timestamptz[], ${oldLasts}::timestamptz[])
      as used (id, count, last, old_last)
    where api_keys.id = used.id`
}
