import type { Page } from '@instatunnel/kit/page'
import type { ISql } from '@instatunnel/kit/postgres'
import type { Chosen } from '../domain/change.ts'
import type { Key } from '../domain/key.ts'
import { visibleSince } from '../domain/revocation.ts'
import type { KeptSecret } from '../domain/secret.ts'
import type { State } from '../domain/state.ts'
import { insertMeter, type Meter } from './meter-store.ts'

const columns = (sql: ISql) => sql`
  id, user_id, session_id, name, prefix, start, masked, permissions, enabled, metadata,
  created_at, updated_at, expires_at, revoked_at, revoked_reason, request_count, last_request,
  allowed_ips, allowed_subdomains, old_masked, rotated_at, old_ends_at, old_last_request, rotations, rate_limit_enabled,
  remaining, next_remaining, refill_amount, refill_interval, refill_from, last_refill_at,
  time_window as rate_limit_time_window, max_uses as rate_limit_max,
  coalesce((
    select json_agg(json_build_object('held', held, 'until', extract(epoch from until) * 1000))
    from key_leases where key_leases.key_id = id and held > 0), '[]') as leases`

const keys = (sql: ISql) => sql`api_keys left join key_meters on key_meters.key_id = id`

/** Which keys are listed: those in one state, or all that are not revoked. */
export interface Listed {
  readonly state: State | undefined
  readonly now: Date
}

/** A user's keys, newest first: one more than the page holds, where there are more. */
export const listKeys = (sql: ISql, userId: string, { size, before }: Page, listed: Listed) => sql<Key[]>`
  select ${columns(sql)}
  from ${keys(sql)}
  where user_id = ${userId} and ${isListed(sql, listed)} ${before === undefined ? sql`` : sql`and id < ${before}`}
  order by id desc
  limit ${size + 1}`

function isListed(sql: ISql, { state, now }: Listed) {
  const isExpired = sql`coalesce(expires_at <= ${now}, false)`
  if (state === 'revoked') return sql`revoked_at > ${visibleSince(now)}`
  if (state === 'expired') return sql`revoked_at is null and ${isExpired}`
  if (state === 'disabled') return sql`revoked_at is null and not ${isExpired} and not enabled`
  if (state === 'active') return sql`revoked_at is null and not ${isExpired} and enabled`
  return sql`revoked_at is null`
}

/** The key with this id, whoever has it, revoked or not. */
export async function findKey(sql: ISql, id: string): Promise<Key | undefined> {
  const [key] = await sql<Key[]>`select ${columns(sql)} from ${keys(sql)} where id = ${id}`
  return key
}

/** As findKey; whoever else wants to change the key, or to lease uses of it, waits until the transaction ends. */
export async function lockKey(tx: ISql, id: string): Promise<Key | undefined> {
  // Before the key is read: what is joined would be read as it was before the wait. Weak enough for leases, which refer
  // to the key while its meter is locked.
  await tx`select from api_keys where id = ${id} for no key update`
  await tx`select from key_meters where key_id = ${id} for no key update`
  return findKey(tx, id)
}

/** The key whose secret has one of these hashes, or had it before a rotation whose grace lasts; revoked or not. */
export async function findKeyByHash(
  sql: ISql,
  hashes: readonly Buffer[],
  now: Date,
): Promise<Key | undefined> {
  const [key] = await sql<Key[]>`
    with ${foundByHash(sql, hashes, now)}
    select ${columns(sql)} from ${keys(sql)} join found on found_id = id order by at limit 1`
  return key
}

/** `found`: the keys that have these hashes, or had them; which of them, counted from 0, and whether it is the old one. */
export const foundByHash = (sql: ISql, hashes: readonly Buffer[], now: Date) => sql`
  asked as (
    select decode(hex, 'hex') as hash, (position - 1)::integer as at
    from unnest(${hashes.map((hash) => hash.toString('hex'))}::text[]) with ordinality as asked (hex, position)
  ), found as (
    select id as found_id, at, false as is_by_old_secret from asked join api_keys using (hash)
    union all
    select id, at, true from asked join api_keys on old_hash = asked.hash where old_ends_at > ${now}
  )`

/** The user's creates and restores of keys wait until the transaction ends. */
export async function holdKeysOf(tx: ISql, userId: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`keys of ${userId}`}, 0))`
}

/** How many keys a user has, those of sessions not counted. The user's other creates wait until the transaction ends. */
export async function countKeys(tx: ISql, userId: string): Promise<number> {
  await holdKeysOf(tx, userId)
  const [row] = await tx<{ count: number }[]>`
    select count(*)::integer as count
    from api_keys
    where user_id = ${userId} and revoked_at is null and session_id is null`
  return row?.count ?? 0
}

/** What a new key is made of; the rest begins empty. */
export type NewKey = Pick<Key, 'id' | 'userId' | 'sessionId' | 'createdAt'> & Chosen & Meter

/** Writes a new key and returns it. */
export async function insertKey(tx: ISql, key: NewKey, secret: KeptSecret): Promise<Key> {
  const { id, userId, sessionId, name, permissions, enabled, metadata, createdAt, expiresAt } = key
  const { allowedIps, allowedSubdomains, rateLimitEnabled } = key
  const { prefix, start, masked, hash, pepperId } = secret
  await tx`
    insert into api_keys (
      id, user_id, session_id, name, prefix, start, masked, hash, pepper_id, permissions, enabled, metadata,
      created_at, updated_at, expires_at, allowed_ips, allowed_subdomains, rate_limit_enabled)
    values (
      ${id}, ${userId}, ${sessionId}, ${name}, ${prefix}, ${start}, ${masked}, ${hash}, ${pepperId},
      ${permissions as string[]}, ${enabled}, ${tx.json(metadata as never)}, ${createdAt}, ${createdAt}, ${expiresAt},
      ${allowedIps as string[]}, ${allowedSubdomains as string[]}, ${rateLimitEnabled})`
  await insertMeter(tx, id, key)
  const inserted = await findKey(tx, id)
  if (!inserted) throw new Error(`key ${id} was to be inserted`)
  return inserted
}

/** Writes what people choose about a key, but how its uses are counted: that is the meter's. */
export async function saveKey(tx: ISql, key: Key): Promise<void> {
  const { id, name, permissions, enabled, metadata, expiresAt, updatedAt } = key
  const { allowedIps, allowedSubdomains, rateLimitEnabled } = key
  await tx`
    update api_keys
    set name = ${name}, permissions = ${permissions as string[]}, enabled = ${enabled},
      metadata = ${tx.json(metadata as never)}, expires_at = ${expiresAt}, updated_at = ${updatedAt},
      allowed_ips = ${allowedIps as string[]}, allowed_subdomains = ${allowedSubdomains as string[]},
      rate_limit_enabled = ${rateLimitEnabled}
    where id = ${id}`
}
