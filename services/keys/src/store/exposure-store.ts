import type { ISql } from '@instatunnel/kit/postgres'

// Where an account has more, what is left makes the next call regenerate once more.
const MAX_KEYS = 1000

/** Which keys are meant: one, or all of an account's. */
export type KeysOf = { readonly id: string } | { readonly userId: string }

/**
 * The keys of these that leaked, and could have read tokens which tunnels with such subdomains still have; all tunnels are
 * meant where there is no pattern.
 */
export async function listExposing(sql: ISql, of: KeysOf, within: readonly string[]): Promise<string[]> {
  const patterns = within as string[]
  const rows = await sql<{ id: string }[]>`
    select id from api_keys
    where ${'id' in of ? sql`id = ${of.id}` : sql`user_id = ${of.userId}`} and exposes_tokens
      and (cardinality(${patterns}::text[]) = 0 or not regenerated_within @> ${patterns}::text[])
    order by id desc limit ${MAX_KEYS}`
  return rows.map(({ id }) => id)
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
    set exposes_tokens = ${!isAll},
      regenerated_within = ${isAll ? sql`'{}'` : sql`array(select unnest(regenerated_within) union select unnest(${within as string[]}::text[]))`}
    where id = any(${ids as string[]}) and exposes_tokens`
}
