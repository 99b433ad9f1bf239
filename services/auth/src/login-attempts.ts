import { rateLimited } from '@instatunnel/kit/rate'
import { emailKey } from './domain/account.ts'
import { loginLimit, rightLimit } from './domain/window-bounds.ts'
import type { SharedWindows } from './shared-windows.ts'

// Check counts a login before it is made, and no login takes longer than this from there to its end.
const LONGEST_LOGIN_MS = 30_000

/** An attempt at an account's password, counted as a failure until it is known to be none. */
export interface LoginAttempt {
  /** The password was not compared. */
  notMade(): void
  /** The password was right. */
  right(): Promise<void>
}

/** Where an attempt comes from, and whose password it is about. */
export interface AttemptFrom {
  readonly email: string
  /** As addressSubject has it; empty where it is not known. */
  readonly network: string
  /** Whether the account was logged in from there before. */
  readonly isKnown: boolean
}

/**
 * Counts an attempt by its e-mail: in the lane of that network where the account is known from there, in one lane for all other
 * networks where it is not. So strangers hold up strangers only. Throws RATE_LIMITED while the lane has to wait.
 */
export async function countAttempt(
  { windows, authLimit: auth, now }: { windows: SharedWindows; authLimit: number; now: () => Date },
  { email, network, isKnown }: AttemptFrom,
): Promise<LoginAttempt> {
  const subject = isKnown ? `place:${network}:${emailKey(email)}` : `email:${emailKey(email)}`
  const at = now()
  const rate = await windows.take(subject, loginLimit({ auth }), at)
  if (!rate.admitted) throw rateLimited(rate)
  return {
    notMade: () => windows.giveBack(subject, at),
    async right() {
      windows.giveBack(subject, at)
      if (network === '') return
      const { admitted } = await windows.take(`right:${network}`, rightLimit({ auth }), now())
      if (admitted) windows.refund(`auth:${network}`, new Date(now().getTime() - LONGEST_LOGIN_MS))
    },
  }
}
