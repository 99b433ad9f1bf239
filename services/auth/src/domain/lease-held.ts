import { type LeaseMoments, noLeaseMoments, usesIn, withUse } from './lease-moments.ts'

/** What this replica holds of one key's uses; times in Unix milliseconds, by its own clock. */
export interface HeldLease {
  /** Uses that may be admitted until then. */
  left: number
  until: number
  /** More is asked for when so many are left; none where that is not worth it. */
  renewAt: number
  /** What is left then goes back: it would be lost with the lease's end. */
  backAt: number
  /** What is not to be used any more, and goes back with the next request. */
  parked: number
  lastUsedAt: number
  /** What keys does not know of. */
  used: LeaseMoments
  /** The length of the key's own window. */
  windowMs: number
  /** When keys last answered, and how much was left beside all leases. */
  answeredAt: number
  room: number
}

/** What a holder says of its lease in a request. */
export interface Settling {
  readonly used: LeaseMoments
  readonly returned: number
  readonly kept: number
}

/** What keys grants, from when it was asked. */
export interface Granted {
  readonly granted: number
  readonly validForMs: number
  readonly remaining?: number | undefined
  readonly windowRemaining?: number | undefined
}

/** A quarter of what was there: so much time there is to ask for more. */
const RENEW_SHARE = 4
const BACK_BEFORE_END_MS = 1500
const IDLE_MS = 2000
// A key in steady use is given what it uses in so long, where that is no more than an eighth of what is there; what it
// uses in a shorter time than this may be a burst.
const AHEAD_MS = 100
const STEADY_MS = 25
const AHEAD_SHARE = 8
const WANTED_MAX = 100_000

/** A lease of nothing yet. */
export const noLease = (): HeldLease => ({
  ...{ left: 0, until: 0, renewAt: 0, backAt: 0, parked: 0, lastUsedAt: 0 },
  ...{ used: noLeaseMoments(), windowMs: Infinity, answeredAt: 0, room: 0 },
})

/** Uses one, where there is one. */
export function useOne(lease: HeldLease, time: number): boolean {
  if (!hasOne(lease, time)) return false
  lease.left--
  lease.lastUsedAt = time
  lease.used = withUse(lease.used, time, lease.windowMs)
  return true
}

/** True where there is one to use. */
export const hasOne = ({ left, until }: HeldLease, time: number): boolean => left > 0 && time < until

/** True where so little is left that more should be on its way. */
export const isLow = ({ left, renewAt }: HeldLease): boolean => left > 0 && left <= renewAt

/** True where keys is to hear nothing of it, nor from it. */
export const isNothing = ({ left, parked, used }: HeldLease): boolean =>
  left === 0 && parked === 0 && used.times.length === 0

/** True where what is left should go back: nobody used it for a while, or it ends soon. */
export const isDueBack = ({ lastUsedAt, backAt }: HeldLease, time: number): boolean =>
  time >= backAt || time - lastUsedAt >= IDLE_MS

/** How many to ask for: what waits, and what steady use needs next. */
export function wantedOf({ used, answeredAt, room }: HeldLease, waiting: number, time: number): number {
  const steady = (usesIn(used) / Math.max(time - answeredAt, STEADY_MS)) * AHEAD_MS
  return Math.min(Math.max(waiting, 1) + Math.floor(Math.min(steady, room / AHEAD_SHARE)), WANTED_MAX)
}

/** Takes out of use what is left: it goes back with the next request. */
export function park(lease: HeldLease): void {
  lease.parked += lease.left
  lease.left = 0
}

/** What there is to say of the lease; it is said once. Of one that has ended there is nothing: keys counts it as used. */
export function settle(lease: HeldLease, time: number): Settling {
  if (time >= lease.until) lose(lease)
  const settling = { used: lease.used, returned: lease.parked, kept: lease.left }
  lease.parked = 0
  lease.used = noLeaseMoments()
  return settling
}

/** Forgets a lease that is lost. */
export function lose(lease: HeldLease): void {
  lease.left = 0
  lease.parked = 0
  lease.used = noLeaseMoments()
}

/** Adds what was granted to what was kept. */
export function renew(lease: HeldLease, answer: Granted, askedAt: number): void {
  const { granted, validForMs, remaining = Infinity, windowRemaining = Infinity } = answer
  lease.left += granted
  lease.until = askedAt + validForMs
  lease.backAt = lease.until - Math.min(BACK_BEFORE_END_MS, validForMs / 3)
  lease.renewAt = Math.floor(lease.left / RENEW_SHARE)
  lease.lastUsedAt = Math.max(lease.lastUsedAt, askedAt)
  lease.answeredAt = askedAt
  lease.room = Math.min(remaining, windowRemaining)
}
