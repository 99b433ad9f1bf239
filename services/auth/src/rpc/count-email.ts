import { rateLimited } from '@instatunnel/kit/rate'
import { emailKey } from '../domain/account.ts'
import type { Deps } from './deps.ts'

/** Counts a call that names an e-mail against the auth limit of that e-mail, whatever address it comes from. */
export async function countEmail({ windows, authLimit, now }: Deps, email: string): Promise<void> {
  const rate = await windows.take(`email:${emailKey(email)}`, authLimit, now())
  if (!rate.admitted) throw rateLimited(rate)
}
