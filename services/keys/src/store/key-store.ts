import type { Page } from '@instatunnel/kit/page'
import type { ISql } from '@instatunnel/kit/postgres'
import type { Key } from '../domain/key.ts'
import type { KeptSecret } from '../domain/secret.ts'
import type { Use } from '../domain/usage.ts'

const columns = (sql: ISql) => sql`
  id, user_id, session_id, name, prefix, start, masked, permissions, enabled, metadata,
  created_at, updated_at, expires_at, revoked_at, request_count, last_request`

/** A user's keys that are not revoked, newest first: one more than the page holds, where there are more. */
export const listKeys = (sql: ISql, userId: string, { size, before }: Page) => sql<Key[]>`
  select ${columns(sql)}
  from api_keys
  where user_id = ${userId} and revoked_at is null ${before === undefined ? sql`` : sql`and id < ${before}`}
  order by id desc
  limit ${size + 1}`

/** The key with this id, whoever has it, revoked or not. */
export async function findKey(sql: ISql, id: string): Promise<Key | undefined> {
  const [key] = await sql<Key[]>`select ${columns(sql)} from api_keys where id = ${id}`
  return key
}

/** As findKey; whoever else wants to change the key waits until the transaction ends. */
export async function lockKey(tx: ISql, id: string): Promise<Key | undefined> {
  const [key] = await tx<Key[]>`select ${columns(tx)} from api_keys where id = ${id} for update`
  return key
}

/** The key whose secret has one of these hashes, revoked or not. */
export async function findKeyByHash(sql: ISql, hashes: readonly Buffer[]): Promise<Key | undefined> {
  const [key] = await sql<Key[]>`
    select ${columns(sql)} from api_keys where hash in ${sql(hashes as Buffer[])}`
  return key
}

/** How many keys a user has, those of sessions not counted. The user's other creates wait until the transaction ends. */
export async function countKeys(tx: ISql, userId: string): Promise<number> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`keys of ${userId}`}, 0))`
  const [row] = await tx<{ count: number }[]>`
    select count(*)::integer as count
    from api_keys
    where user_id = ${userId} and revoked_at is null and session_id is null`
  return row?.count ?? 0
}

/** What a new key is made of; the rest begins empty. */
export type NewKey = Omit<
  Key,
  'prefix' | 'start' | 'masked' | 'enabled' | 'updatedAt' | 'revokedAt' | 'requestCount' | 'lastRequest'
>

/** Writes a new key and returns it. */
export async function insertKey(tx: ISql, key: NewKey, secret: KeptSecret): Promise<Key> {
  const { id, userId, sessionId, name, permissions, metadata, createdAt, expiresAt } = key
  const { prefix, start, masked, hash, pepperId } = secret
  const [inserted] = await tx<[Key]>`
    insert into api_keys (
      id, user_id, session_id, name, prefix, start, masked, hash, pepper_id,
      permissions, metadata, created_at, updated_at, expires_at)
    values (
      ${id}, ${userId}, ${sessionId}, ${name}, ${prefix}, ${start}, ${masked}, ${hash}, ${pepperId},
      ${permissions as string[]}, ${tx.json(metadata as never)}, ${createdAt}, ${createdAt}, ${expiresAt})
    returning ${columns(tx)}`
  return inserted
}

/** Writes what people choose about a key. */
export async function saveKey(tx: ISql, key: Key): Promise<void> {
  const { id, name, permissions, enabled, metadata, expiresAt, updatedAt } = key
  await tx`
    update api_keys
    set name = ${name}, permissions = ${permissions as string[]}, enabled = ${enabled},
      metadata = ${tx.json(metadata as never)}, expires_at = ${expiresAt}, updated_at = ${updatedAt}
    where id = ${id}`
}

/** Marks a key as revoked; false where it was before. */
export async function markRevoked(tx: ISql, id: string, now: Date): Promise<boolean> {
  const { count } = await tx`
    update api_keys set revoked_at = ${now}, updated_at = ${now} where id = ${id} and revoked_at is null`
  return count === 1
}

/** Adds uses to their keys' counts; the last of them is never set back. */
export async function addUses(tx: ISql, uses: readonly Use[]): Promise<void> {
  const ids = uses.map(({ keyId }) => keyId)
  const counts = uses.map(({ count }) => count)
  const lasts = uses.map(({ last }) => last.toISOString())
  await tx`
    update api_keys
    set request_count = request_count + used.count, last_request = greatest(last_request, used.last)
    from unnest(${ids}::text[], ${counts}::float8[], ${lasts}::timestamptz[]) as used (id, count, last)
    where api_keys.id = used.id`
}
