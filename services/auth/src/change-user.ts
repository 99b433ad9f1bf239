import type { Evict } from '@instatunnel/kit/eviction'
import type { ISql, Sql } from '@instatunnel/kit/postgres'
import type { Account } from './domain/account.ts'
import { tellUpdated } from './store/outbox.ts'
import { lockUser, type UserChange, updateUser } from './store/user-store.ts'

/**
 * Changes an account under its lock and tells what changed, in one transaction; nothing is written or told where
 * nothing would change. `decide` gives the new values, and may refuse. Returns undefined where there is no account;
 * otherwise when every replica goes by the new values.
 */
export async function changeUser(
  { sql, evict }: { sql: Sql; evict: Evict },
  id: string,
  now: Date,
  decide: (before: Account, tx: ISql) => Promise<Omit<UserChange, 'passwordHash'>>,
): Promise<Account | undefined> {
  let isChanged = false
  const changing = sql.begin(async (tx) => {
    const found = await lockUser(tx, id)
    if (!found) return undefined
    const { passwordHash: _, ...before } = found
    const wanted = Object.entries(await decide(before, tx))
    const changed = wanted.filter(([field, value]) => before[field as keyof Account] !== value)
    if (changed.length === 0) return before
    isChanged = true
    const user = await updateUser(tx, id, Object.fromEntries(changed), now)
    await tellUpdated(
      tx,
      user,
      changed.map(([field]) => field),
      now,
    )
    return user
  })
  const user = await changing
  if (isChanged) await evict({ users: [id] })
  return user
}
