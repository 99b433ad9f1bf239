import type { ISql } from '@instatunnel/kit/postgres'
import type { Key } from '../domain/key.ts'
import type { KeptSecret } from '../domain/secret.ts'
import { lockKey } from './key-store.ts'

/** Whoever else is about a session's key waits until the transaction ends, also where there is no key yet. */
export async function holdSession(tx: ISql, sessionId: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`key of session ${sessionId}`}, 0))`
}

/** A session's key, locked, revoked or not. */
export async function lockSessionKey(tx: ISql, sessionId: string): Promise<Key | undefined> {
  const [row] = await tx<{ id: string }[]>`select id from api_keys where session_id = ${sessionId}`
  return row && lockKey(tx, row.id)
}

/** Gives a key another secret, and the permissions that go with it. */
export async function replaceSecret(
  tx: ISql,
  { id, permissions, updatedAt }: Pick<Key, 'id' | 'permissions' | 'updatedAt'>,
  { prefix, start, masked, hash, pepperId }: KeptSecret,
): Promise<void> {
  await tx`
    update api_keys
    set prefix = ${prefix}, start = ${start}, masked = ${masked}, hash = ${hash}, pepper_id = ${pepperId},
      permissions = ${permissions as string[]}, rotations = rotations + 1, updated_at = ${updatedAt}
    where id = ${id}`
}

// Forgetting all that have grown old together would outlast the statement's time.
const FORGOTTEN_AT_ONCE = 100

/** Remembers that a session ended before its key was made. */
export async function rememberEnded(tx: ISql, sessionId: string): Promise<void> {
  // A request for the key is given up on after seconds: a day is ample.
  await tx`
    delete from ended_sessions where session_id in (
      select session_id from ended_sessions where ended_at < now() - interval '1 day'
      limit ${FORGOTTEN_AT_ONCE} for update skip locked)`
  await tx`insert into ended_sessions (session_id, ended_at) values (${sessionId}, now()) on conflict do nothing`
}

/** True where a session ended before its key was made. */
export async function hasEnded(tx: ISql, sessionId: string): Promise<boolean> {
  const rows = await tx`select 1 from ended_sessions where session_id = ${sessionId}`
  return rows.length > 0
}
