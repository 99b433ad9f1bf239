import { PLANS, type Plans } from '@instatunnel/kit/plans'

/** What the windows of a kind admit at most, by this process's own settings. */
export type WindowBounds = ReadonlyMap<string, number>

// Wrong credentials per address, as a multiple of the auth limit: a misconfigured client behind a shared address is
// slowed down, and a right credential from there is not.
const INVALID_FACTOR = 10

/** How many wrong credentials an address may bring a minute. */
export const invalidLimit = ({ auth }: { readonly auth: number }): number => auth * INVALID_FACTOR

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
    ['email', auth],
    ['password', auth],
    ['invalid', invalidLimit(limits)],
    ['login_failed', 1],
    ['read', Math.floor(read * largest('readFactor'))],
    ['write', Math.floor(write * largest('writeFactor'))],
    ['connect', connect],
  ])
}

/** The limit that a subject is counted by here: no larger than its kind's bound, where that has one. */
export function boundedLimit(bounds: WindowBounds, subject: string, limit: number): number {
  const bound = bounds.get(subject.slice(0, Math.max(subject.indexOf(':'), 0)))
  return bound === undefined ? limit : Math.min(limit, bound)
}
