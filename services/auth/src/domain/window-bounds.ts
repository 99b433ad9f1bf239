import { PLANS, type Plans } from '@instatunnel/kit/plans'

/** What the windows of a kind admit at most, by this process's own settings. */
export type WindowBounds = ReadonlyMap<string, number>

// Wrong credentials per address, as a multiple of the auth limit: a misconfigured client behind a shared address is
// slowed down, and a right credential from there is not.
const INVALID_FACTOR = 10

/** How many wrong credentials an address may bring a minute. */
export const invalidLimit = ({ auth }: { readonly auth: number }): number => auth * INVALID_FACTOR

// Wrong passwords for one e-mail, as a multiple of the auth limit: from where its account is not known all
// together, from each network and device that it is known from, and by its own sessions.
const LOGIN_FACTOR = 3

/** How many wrong passwords may be tried for one e-mail before each is followed by a delay. */
export const loginLimit = ({ auth }: { readonly auth: number }): number => auth * LOGIN_FACTOR

// Logins with the right password do not count against a network's auth limit, but not without bound: each costs a hash.
const RIGHT_FACTOR = 10

/** How many right logins of a network do not count, a minute. */
export const rightLimit = ({ auth }: { readonly auth: number }): number => auth * RIGHT_FACTOR

/** The kind of a window: what stands before the colon of its subject. */
export const kindOf = (subject: string): string => subject.slice(0, Math.max(subject.indexOf(':'), 0))

/**
 * The bound of each kind of window, by what stands before the colon of its subjects. A replica that counts for another
 * admits no more than its own settings allow, whatever it is asked.
 */
export function windowBounds(limits: {
  readonly auth: number
  readonly read: number
  readonly write: number
  readonly connect: number
  readonly plans: Plans
}): WindowBounds {
  const { auth, read, write, connect, plans } = limits
  const largest = (factor: 'readFactor' | 'writeFactor') =>
    Math.max(...PLANS.map((plan) => plans[plan][factor]))
  return new Map([
    ['auth', auth],
    ['email', loginLimit(limits)],
    ['place', loginLimit(limits)],
    ['device', loginLimit(limits)],
    ['right', rightLimit(limits)],
    ['password', loginLimit(limits)],
    ['invalid', invalidLimit(limits)],
    ['login_failed', 1],
    ['read', Math.floor(read * largest('readFactor'))],
    ['write', Math.floor(write * largest('writeFactor'))],
    ['connect', connect],
  ])
}

/** The limit that a subject is counted by here: no larger than its kind's bound, where that has one. */
export function boundedLimit(bounds: WindowBounds, subject: string, limit: number): number {
  const bound = bounds.get(kindOf(subject))
  return bound === undefined ? limit : Math.min(limit, bound)
}
