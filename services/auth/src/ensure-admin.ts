import type { Evict } from '@instatunnel/kit/eviction'
import { newId } from '@instatunnel/kit/id'
import { type Sql, violates } from '@instatunnel/kit/postgres'
import { z } from 'zod'
import { changeUser } from './change-user.ts'
import { type Account, emailField, passwordField, usernameFrom } from './domain/account.ts'
import { hashPassword } from './domain/password.ts'
import { tellRegistered } from './store/outbox.ts'
import { findUserByEmail, insertUser } from './store/user-store.ts'

/** Makes the admin that the settings name, on plan business, or promotes the account that exists. */
export async function ensureAdmin(
  { sql, evict }: { sql: Sql; evict: Evict },
  email: string,
  password: string | undefined,
  now: Date,
): Promise<void> {
  const found = await findUserByEmail(sql, email)
  if (found) {
    await changeUser({ sql, evict }, found.id, now, async () => ({ plan: 'business', role: 'admin' }))
    return
  }
  const shape = z.object({ INSTATUNNEL_ADMIN_EMAIL: emailField, INSTATUNNEL_ADMIN_PASSWORD: passwordField })
  const given = { INSTATUNNEL_ADMIN_EMAIL: email, INSTATUNNEL_ADMIN_PASSWORD: password ?? '' }
  const faults = shape
    .safeParse(given)
    .error?.issues.map(({ path, message }) => `${String(path[0])}: ${message}`)
  if (faults) throw new Error(`Settings: ${faults.join('; ')}`)
  const passwordHash = await hashPassword(given.INSTATUNNEL_ADMIN_PASSWORD)
  const user: Account = {
    id: newId('user_', now),
    email,
    name: '',
    username: usernameFrom(email),
    plan: 'business',
    role: 'admin',
    status: 'active',
    createdAt: now,
  }
  const made = sql.begin(async (tx) => {
    await insertUser(tx, { ...user, passwordHash })
    await tellRegistered(tx, user, now)
  })
  // Another replica, which starts at the same time, was faster.
  await made.catch((error) => (violates(error, 'users_email_unique') ? undefined : Promise.reject(error)))
}
