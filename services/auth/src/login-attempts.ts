import { rateLimited } from '@instatunnel/kit/rate'
import { emailKey } from './domain/account.ts'
import { loginLimit, rightLimit } from './domain/window-bounds.ts'
import type { SharedWindows } from './shared-windows.ts'

// Check counts a login before it is made, and no login takes longer than this from there to its end.
const LONGEST_LOGIN_MS = 30_000

/** An attempt at an account's password, counted as a failure until it is known to be none. */
export interface LoginAttempt {
  /** Which lane counts it: that of the caller's device, of the caller's network, or of all strangers. */
  readonly lane: 'device' | 'network' | 'strangers'
  /** The password was not compared. */
  notMade(): void
  /** The password was right. */
  right(): Promise<void>
}

/** What counts attempts. */
interface Counting {
  readonly windows: SharedWindows
  readonly authLimit: number
  readonly now: () => Date
}

/** Where an attempt comes from, and whose password it is about. */
export interface AttemptFrom {
  readonly email: string
  /** As addressSubject has it; empty where it is not known. */
  readonly network: string
  /** Whether the account was logged in from that network before. */
  readonly isKnown: boolean
  /** What is stored of the device, where the account was logged in from it before. */
  readonly device?: Buffer | undefined
}

/**
 * Counts an attempt by its e-mail: in the lane of a device that the account is known from; without one, or while that lane has
 * to wait, in the lane of a network that it is known from, else in one lane for all. So strangers hold up strangers only, and
 * who has stolen a device's token holds up no other device. Throws RATE_LIMITED while the lane has to wait.
 */
export async function countAttempt(
  { windows, authLimit: auth, now }: Counting,
  { email, network, isKnown, device }: AttemptFrom,
): Promise<LoginAttempt> {
  const at = now()
  const take = (subject: string) => windows.take(subject, loginLimit({ auth }), at)
  const shared = isKnown
    ? ({ lane: 'network', subject: `place:${network}:${emailKey(email)}` } as const)
    : ({ lane: 'strangers', subject: `email:${emailKey(email)}` } as const)
  const own = device && ({ lane: 'device', subject: `device:${device.toString('base64url')}` } as const)
  const isOwn = own !== undefined && (await take(own.subject)).admitted
  if (!isOwn) {
    const rate = await take(shared.subject)
    if (!rate.admitted) throw rateLimited(rate)
  }
  const { lane, subject } = isOwn ? own : shared
  return {
    lane,
    notMade: () => windows.giveBack(subject, at),
    async right() {
      windows.giveBack(subject, at)
      if (network === '') return
      const { admitted } = await windows.take(`right:${network}`, rightLimit({ auth }), now())
      if (admitted) windows.refund(`auth:${network}`, new Date(now().getTime() - LONGEST_LOGIN_MS))
    },
  }
}

/**
 * Counts an attempt at an account's password by a caller who is logged in to it: in a lane of the account, which no login waits
 * in, and by its network as Check counts a login. Throws RATE_LIMITED while either has to wait.
 */
export async function countChange(
  { windows, authLimit: auth, now }: Counting,
  { userId, network }: { readonly userId: string; readonly network: string },
): Promise<Pick<LoginAttempt, 'notMade' | 'right'>> {
  const at = now()
  const limits = [
    { subject: `password:${userId}`, limit: loginLimit({ auth }) },
    ...(network === '' ? [] : [{ subject: `auth:${network}`, limit: auth }]),
  ]
  const counted: string[] = []
  const giveBack = () => {
    for (const subject of counted) windows.giveBack(subject, at)
  }
  for (const { subject, limit } of limits) {
    const rate = await windows.take(subject, limit, at)
    if (!rate.admitted) {
      giveBack()
      throw rateLimited(rate)
    }
    counted.push(subject)
  }
  return { notMade: giveBack, right: async () => giveBack() }
}
