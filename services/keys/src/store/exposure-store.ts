import type { ISql, Sql } from '@instatunnel/kit/postgres'

// Where an account has more, what is left makes the next call regenerate once more.
const MAX_KEYS = 1000

/** How long a claim holds whose call does not end, as Postgres has it: longer than a call tries. */
const CLAIM = '10 s'

/** Which keys are meant: one, or all of an account's. */
export type KeysOf = { readonly id: string } | { readonly userId: string }

/**
 * Claims the keys of these that leaked, and could have read tokens which tunnels with such subdomains still have; all tunnels
 * are meant where there is no pattern. Until markRegenerated or releaseClaim no other call claims them. Undefined where
 * another call has claimed one of them.
 */
export const claimExposing = (
  sql: Sql,
  of: KeysOf,
  within: readonly string[],
): Promise<string[] | undefined> =>
  sql.begin(async (tx) => {
    const patterns = within as string[]
    const rows = await tx<{ id: string; isClaimed: boolean }[]>`
      select id, coalesce(regenerating_until > now(), false) as is_claimed from api_keys
      where ${'id' in of ? tx`id = ${of.id}` : tx`user_id = ${of.userId}`} and exposes_tokens
        and (cardinality(${patterns}::text[]) = 0 or not regenerated_within @> ${patterns}::text[])
      order by id desc limit ${MAX_KEYS} for update`
    if (rows.some(({ isClaimed }) => isClaimed)) return undefined
    const ids = rows.map(({ id }) => id)
    await tx`update api_keys set regenerating_until = now() + ${CLAIM}::interval where id = any(${ids})`
    return ids
  })

/** Lets other calls claim these keys: their tokens were not regenerated. */
export async function releaseClaim(sql: ISql, ids: readonly string[]): Promise<void> {
  await sql`update api_keys set regenerating_until = null where id = any(${ids as string[]})`
}

/** Writes that tunnels, all of them or those with such subdomains, have new tokens, which these keys cannot have read. */
export async function markRegenerated(
  sql: ISql,
  ids: readonly string[],
  within: readonly string[],
): Promise<void> {
  const isAll = within.length === 0
  await sql`
    update api_keys
    set exposes_tokens = ${!isAll}, regenerating_until = null,
      regenerated_within = ${isAll ? sql`'{}'` : sql`array(select unnest(regenerated_within) union select unnest(${within as string[]}::text[]))`}
    where id = any(${ids as string[]}) and exposes_tokens`
}
