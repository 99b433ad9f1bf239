import { type Meter, refilled } from './lease-meter.ts'
import { countOf, inWindow, type Moment, withUses } from './own-window.ts'

/** What one holder may use without asking; times in Unix milliseconds. */
export interface Lease {
  readonly holder: string
  /** Of its last request. */
  readonly turn: number
  /** What that was answered; null while it is not. */
  readonly answer: LeaseAnswer | null
  /** Uses that are not settled. */
  readonly held: number
  /** From then on they are lost. */
  readonly until: number
}

/** What a holder is answered. */
export interface LeaseAnswer {
  readonly granted: number
  readonly code: '' | 'RATE_LIMITED' | 'USAGE_EXCEEDED'
  /** When there may be more; null where there will not. */
  readonly retryAt: number | null
  /** What is left beside all leases; null where it is not counted. */
  readonly remaining: number | null
  readonly windowRemaining: number | null
}

/** A meter with all its leases. */
export interface Book {
  readonly meter: Meter
  readonly leases: readonly Lease[]
}

/** How many uses these hold. */
export const heldBy = (leases: readonly Lease[]): number => leases.reduce((sum, { held }) => sum + held, 0)

/** Ended leases are lost, due refills done, and what has left the window is forgotten. */
export function broughtUpTo(now: number, book: Book): Book {
  const ended = book.leases.filter(({ held, until }) => held > 0 && until <= now)
  const { meter, leases } = forfeited(book, holdersOf(ended))
  const used = meter.window ? inWindow(meter.used, meter.window, now) : meter.used
  const current = used === meter.used ? meter : { ...meter, used }
  const after = refilled(current, now)
  if (after === current) return fitted({ meter: current, leases })
  // Where the refill was moved forward, leases may outlast it.
  return withRemaining({ meter: after, leases }, after.remaining)
}

/**
 * The book with so many uses left, those that are leased among them. Where more are leased, nothing is granted until
 * enough of them is settled, or all are: then so many remain.
 */
export function withRemaining({ meter, leases }: Book, total: number | null): Book {
  const remaining = total === null ? null : total - heldBy(leases)
  const nextRemaining = remaining !== null && remaining < 0 ? total : null
  return { meter: { ...meter, remaining, nextRemaining }, leases }
}

/** The same, once what is leased is no more than there is. */
export function fitted(book: Book): Book {
  const { meter, leases } = book
  const { remaining, nextRemaining } = meter
  if (nextRemaining === null || remaining === null) return book
  if (heldBy(leases) === 0) return withRemaining(book, nextRemaining)
  return remaining < 0 ? book : { meter: { ...meter, nextRemaining: null }, leases }
}

/** The leases of which some must not be used: more is held than remains, or than the window admits. */
export function excessIn({ meter, leases }: Book): readonly Lease[] {
  const held = leases.filter((lease) => lease.held > 0)
  const { window, used, remaining } = meter
  const isTooMuch = (remaining ?? 0) < 0 || (window && window.max < countOf(used) + heldBy(held))
  return isTooMuch ? held : []
}

/** Takes the leases of these away. What they held counts as used in the window, as late as it could have been. */
export function forfeited({ meter, leases }: Book, holders: readonly string[]): Book {
  const isLost = ({ holder, held }: Lease) => held > 0 && holders.includes(holder)
  const lost = leases.filter(isLost).map(({ until, held }) => ({ at: until, count: held }))
  if (lost.length === 0) return { meter, leases }
  return {
    meter: counted(meter, lost),
    leases: leases.map((lease) => (isLost(lease) ? { ...lease, held: 0 } : lease)),
  }
}

/** The meter with these uses in its window. */
export const counted = (meter: Meter, used: readonly Moment[]): Meter =>
  meter.window && used.length > 0 ? { ...meter, used: withUses(meter.used, used, meter.window) } : meter

/** True where nothing remains and nobody holds any, and that was not so before. */
export const isExhaustedBy = (before: Book, after: Book): boolean =>
  after.meter.remaining !== null && totalOf(after) === 0 && totalOf(before) > 0

const holdersOf = (leases: readonly Lease[]) => leases.map(({ holder }) => holder)

const totalOf = ({ meter, leases }: Book) => meter.nextRemaining ?? (meter.remaining ?? 0) + heldBy(leases)
