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
  readonly createdAt: Date
}

/** Keeps others from making signing keys until the transaction ends. */
export const lockSigningKeys = (sql: ISql) => sql`lock table signing_keys in exclusive mode`

/** The signing keys made after a time, oldest first. */
export const listSigningKeys = (sql: ISql, after: Date): Promise<StoredSigningKey[]> => sql<
  StoredSigningKey[]
>`
  select kid, purpose, public_key, private_key, created_at
  from signing_keys where created_at > ${after} order by created_at`

/** Inserts a signing key. */
export async function insertSigningKey(sql: ISql, key: StoredSigningKey): Promise<void> {
  const { kid, purpose, publicKey, privateKey, createdAt } = key
  await sql`
    insert into signing_keys (kid, purpose, public_key, private_key, created_at)
    values (${kid}, ${purpose}, ${publicKey}, ${privateKey}, ${createdAt})`
}

/** Forgets the signing keys made before a time. */
export const deleteSigningKeys = (sql: ISql, before: Date) =>
  sql`delete from signing_keys where created_at <= ${before}`
