import type { ISql } from '@instatunnel/kit/postgres'

/** What a signing key is for; a key serves one purpose only. */
export type Purpose = 'session' | 'identity'

/** A signing key as it is stored: its private part is sealed. */
export interface StoredSigningKey {
  readonly kid: string
  readonly purpose: Purpose
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string
  readonly privateKey: Buffer
}

/** Keeps others from making signing keys until the transaction ends. */
export const lockSigningKeys = (sql: ISql) => sql`lock table signing_keys in exclusive mode`

/** How old signing keys become, in seconds. All of it is judged by the database's clock, which all replicas share. */
export interface KeyAges {
  /** From then on every replica knows a key, and it may sign. */
  readonly known: number
  /** Until then a key signs. */
  readonly signs: number
  /** Until then it verifies. */
  readonly verifies: number
  /** From then on it may be deleted. */
  readonly kept: number
}

/** A signing key with what its age means now. */
export interface AgedSigningKey extends StoredSigningKey {
  readonly isKnownToAll: boolean
  /** Whether it is young enough to sign. */
  readonly isFresh: boolean
}

/** The signing keys that still verify, oldest first. */
export const listSigningKeys = (sql: ISql, { known, signs, verifies }: KeyAges): Promise<AgedSigningKey[]> =>
  sql<AgedSigningKey[]>`
    select kid, purpose, public_key, private_key,
      created_at <= now() - make_interval(secs => ${known}) as is_known_to_all,
      created_at > now() - make_interval(secs => ${signs}) as is_fresh
    from signing_keys where created_at > now() - make_interval(secs => ${verifies}) order by created_at`

/** Inserts a signing key that was made now. */
export async function insertSigningKey(sql: ISql, key: StoredSigningKey): Promise<void> {
  const { kid, purpose, publicKey, privateKey } = key
  await sql`
    insert into signing_keys (kid, purpose, public_key, private_key, created_at)
    values (${kid}, ${purpose}, ${publicKey}, ${privateKey}, clock_timestamp())`
}

/** Deletes the signing keys that are kept no longer; never the newest of a purpose. */
export const deleteSigningKeys = (sql: ISql, { kept }: KeyAges) => sql`
  delete from signing_keys as old
  where created_at <= now() - make_interval(secs => ${kept})
    and exists (
      select 1 from signing_keys as newer
      where newer.purpose = old.purpose and newer.created_at > now() - make_interval(secs => ${kept}))`
