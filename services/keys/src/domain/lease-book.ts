import { type Meter, refilled } from './lease-meter.ts'
import { inWindow, type Moment, withUses } from './own-window.ts'

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
  return { meter: refilled(used === meter.used ? meter : { ...meter, used }, now), leases }
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

/** As forfeited, of all. */
export const forfeitedWhole = (book: Book): Book => forfeited(book, holdersOf(book.leases))

/** The meter with these uses in its window. */
export const counted = (meter: Meter, used: readonly Moment[]): Meter =>
  meter.window && used.length > 0 ? { ...meter, used: withUses(meter.used, used, meter.window) } : meter

/** True where nothing remains and nobody holds any, and that was not so before. */
export const isExhaustedBy = (before: Book, after: Book): boolean =>
  after.meter.remaining !== null && totalOf(after) === 0 && totalOf(before) > 0

const holdersOf = (leases: readonly Lease[]) => leases.map(({ holder }) => holder)

const totalOf = ({ meter, leases }: Book) => (meter.remaining ?? 0) + heldBy(leases)
