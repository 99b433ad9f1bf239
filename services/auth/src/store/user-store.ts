import type { Page } from '@instatunnel/kit/page'
import type { ISql } from '@instatunnel/kit/postgres'
import type { Account } from '../domain/account.ts'
import { emailKey } from '../domain/account.ts'
import { isKnownNetwork, knownDevice, type PlaceDigests } from './known-place-store.ts'

const COLUMNS = ['id', 'email', 'name', 'username', 'plan', 'role', 'status', 'created_at'] as const

/** Inserts an account; violates users_email_unique where the e-mail has one. */
export async function insertUser(sql: ISql, user: Account & { passwordHash: string }): Promise<void> {
  const { id, email, name, username, passwordHash, plan, role, status, createdAt } = user
  await sql`
    insert into users (id, email, email_key, name, username, password_hash, plan, role, status, created_at, updated_at)
    values (${id}, ${email}, ${emailKey(email)}, ${name}, ${username}, ${passwordHash}, ${plan}, ${role},
            ${status}, ${createdAt}, ${createdAt})`
}

/** The account with this id, where there is one. */
export async function findUser(sql: ISql, id: string): Promise<Account | undefined> {
  const [user] = await sql<Account[]>`select ${sql(COLUMNS)} from users where id = ${id}`
  return user
}

/** The account with this id, locked until the transaction ends, with its password's hash. */
export async function lockUser(
  sql: ISql,
  id: string,
): Promise<(Account & { passwordHash: string }) | undefined> {
  const [user] = await sql<(Account & { passwordHash: string })[]>`
    select ${sql([...COLUMNS, 'password_hash'])} from users where id = ${id} for update`
  return user
}

/** The hash of an account's password and its e-mail, where there is the account. */
export async function findPasswordHash(
  sql: ISql,
  id: string,
): Promise<{ passwordHash: string; email: string } | undefined> {
  const [user] = await sql<{ passwordHash: string; email: string }[]>`
    select password_hash, email from users where id = ${id}`
  return user
}

/** The account with this e-mail, with its password's hash. */
export async function findUserByEmail(
  sql: ISql,
  email: string,
): Promise<(Account & { passwordHash: string }) | undefined> {
  const [user] = await sql<(Account & { passwordHash: string })[]>`
    select ${sql([...COLUMNS, 'password_hash'])} from users where email_key = ${emailKey(email)}`
  return user
}

/** An account that somebody is logging in to, and from where it is known. */
type UserLoggingIn = Account & {
  readonly passwordHash: string
  /** Whether it was logged in from this network. */
  readonly isKnown: boolean
  /** Of these devices the last that it was logged in from. */
  readonly device: Buffer | null
}

/** As findUserByEmail, and whether the account is known from this network and these devices. */
export async function findUserLoggingIn(
  sql: ISql,
  email: string,
  { network, devices }: PlaceDigests,
): Promise<UserLoggingIn | undefined> {
  const [user] = await sql<UserLoggingIn[]>`
    select ${sql([...COLUMNS, 'password_hash'])}, ${isKnownNetwork(sql, network)} as is_known,
      ${knownDevice(sql, devices)} as device
    from users where email_key = ${emailKey(email)}`
  return user
}

/** A page of accounts and one more, newest first. */
export const listUsers = (sql: ISql, page: Page, email: string): Promise<Account[]> => sql<Account[]>`
  select ${sql(COLUMNS)} from users
  where ${page.before === undefined ? sql`true` : sql`id < ${page.before}`}
    and ${email === '' ? sql`true` : sql`email_key = ${emailKey(email)}`}
  order by id desc limit ${page.size + 1}`

/** What of an account can be changed. */
export type UserChange = Partial<
  Pick<Account, 'name' | 'username' | 'plan' | 'role' | 'status'> & { passwordHash: string }
>

/** Changes an account and returns it. */
export async function updateUser(sql: ISql, id: string, change: UserChange, now: Date): Promise<Account> {
  const values = { ...change, updatedAt: now }
  const [user] = await sql<
    Account[]
  >`update users set ${sql(values)} where id = ${id} returning ${sql(COLUMNS)}`
  if (!user) throw new Error(`user ${id} was to be locked before it is updated`)
  return user
}

/**
 * The ids of all active admins. Whoever else asks waits until the transaction ends, so that two of them cannot demote one
 * another at once; their rows are not locked, for each demotion holds one of them already.
 */
export async function lockAdmins(sql: ISql): Promise<string[]> {
  await sql`select pg_advisory_xact_lock(hashtextextended('admins', 0))`
  const rows = await sql<{ id: string }[]>`select id from users where role = 'admin' and status = 'active'`
  return rows.map(({ id }) => id)
}
