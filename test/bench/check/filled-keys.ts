import { randomBytes } from 'node:crypto'
import { newId } from '@instatunnel/kit/id'
import { digestOf, masked, peppersSetting, randomAlphanumeric } from '@instatunnel/kit/secret'
import { administrate } from '@instatunnel/test/sql'
import type { Sql } from 'postgres'
import { checkRequest } from './check-request.ts'
import type { Lane } from './load/lane.ts'
import type { Platform } from './platform.ts'

const TAG_LENGTH = 6
const DIGITS = 10
const ROWS_PER_INSERT = 10_000
const KEYS_PER_USER = 10

/** Keys whose secrets are a tag and a number: a load makes them up as it goes. */
export interface NumberedKeys {
  readonly tag: string
  readonly count: number
}

/** Puts so many keys, of users of their own, straight into the database, as they would be made one by one. */
export async function fillKeys({ stack }: Platform, count: number): Promise<NumberedKeys> {
  const keys = unknownKeys(count)
  const peppers = peppersSetting.parse(stack.secrets.keyPeppers)
  const sql = administrate(stack)
  try {
    for (let from = 0; from < count; from += ROWS_PER_INSERT) {
      const secrets = numbers(from, Math.min(from + ROWS_PER_INSERT, count)).map((n) => secretOf(keys, n))
      const userIds = await insertUsers(sql, Math.ceil(secrets.length / KEYS_PER_USER))
      const rows = secrets.map((secret, i) => {
        const { hash, pepperId } = peppers.hash(digestOf(secret))
        const userId = userIds[Math.floor(i / KEYS_PER_USER)] as string
        return {
          id: newId('key_', new Date()),
          userId,
          masked: masked('it_', secret),
          hash: hash.toString('hex'),
          pepperId,
        }
      })
      await sql`
        insert into keys.api_keys
          (id, user_id, masked, hash, pepper_id, name, prefix, start, permissions, created_at, updated_at)
        select id, user_id, masked, decode(hash, 'hex'), pepper_id, 'Bench', 'it_', 'it_be', '{tunnels:read}', now(), now()
        from unnest(
          ${rows.map((row) => row.id)}::text[], ${rows.map((row) => row.userId)}::text[],
          ${rows.map((row) => row.masked)}::text[], ${rows.map((row) => row.hash)}::text[],
          ${rows.map((row) => row.pepperId)}::text[]) as row (id, user_id, masked, hash, pepper_id)`
    }
    await sql`analyze keys.api_keys`
    return keys
  } finally {
    await sql.end()
  }
}

/** As many that look the same, and that nobody has. */
export const unknownKeys = (count: number): NumberedKeys => ({
  tag: randomAlphanumeric(TAG_LENGTH, randomBytes),
  count,
})

/** Checks of such keys, each in turn; `once` ends the run with the last. */
export function checksOf(
  keys: NumberedKeys,
  order: { once: boolean; times?: number },
): Pick<Lane, 'message' | 'digits'> {
  const message = checkRequest(secretOf(keys, 0))
  const at = message.indexOf(keys.tag) + TAG_LENGTH
  return { message: message.toString('base64'), digits: { ...order, at, length: DIGITS, count: keys.count } }
}

const secretOf = ({ tag }: NumberedKeys, number: number) => `it_${tag}${`${number}`.padStart(DIGITS, '0')}`

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

async function insertUsers(sql: Sql, count: number): Promise<string[]> {
  const ids = numbers(0, count).map(() => newId('user_', new Date()))
  await sql`
    insert into auth.users
      (id, email, email_key, name, username, password_hash, plan, role, created_at, updated_at)
    select id, id || '@example.com', id || '@example.com', 'Bench', id, '', 'free', 'user', now(), now()
    from unnest(${ids}::text[]) as id`
  return ids
}
