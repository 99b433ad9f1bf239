import type { Account } from '../src/domain/account.ts'
import type { KnownKey } from './neighbours.ts'
import type { StartedAuth } from './start-auth.ts'

/** Changes a key as keys does: first the key, then what auth remembers of it. */
export async function changeKey(
  auth: Pick<StartedAuth, 'evict'>,
  key: KnownKey,
  fields: Partial<KnownKey>,
): Promise<void> {
  Object.assign(key, fields)
  await auth.evict({ keys: [key.id], refusals: true })
}

/** Changes an account as an admin does: first the account, then what auth remembers of it. */
export async function changeUser(
  auth: Pick<StartedAuth, 'evict' | 'sql'>,
  id: string,
  fields: Partial<Pick<Account, 'plan' | 'role' | 'status'>>,
): Promise<void> {
  await auth.sql`update users set ${auth.sql(fields)} where id = ${id}`
  await auth.evict({ users: [id] })
}
