import type { Sql } from '@instatunnel/kit/postgres'
import { emailKey } from './domain/account.ts'
import type { SharedWindows } from './shared-windows.ts'
import { tellLoginFailed } from './store/outbox.ts'

/** Tells an account's owner of a wrong password: once a minute for an e-mail and address, to see an attack by. */
export async function publishLoginFailure(
  { sql, windows, now }: { readonly sql: Sql; readonly windows: SharedWindows; readonly now: () => Date },
  failed: { readonly email: string; readonly address: string },
): Promise<void> {
  const { address } = failed
  const email = emailKey(failed.email)
  const { admitted } = await windows.take(`login_failed:${address}:${email}`, 1, now())
  if (admitted) await sql.begin((tx) => tellLoginFailed(tx, { email, address }, now()))
}
