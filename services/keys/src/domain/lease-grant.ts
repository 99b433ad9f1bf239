import { type Book, heldBy, type Lease, type LeaseAnswer } from './lease-book.ts'
import { nextRefillAt } from './lease-meter.ts'
import { countOf, freeAt } from './own-window.ts'

/** A lease lasts so long at most, and never past the next refill: of the uses before it none is worth anything then. */
export const LEASE_MS = 10_000

// Beyond what waits, a holder gets an eighth of what is left: others find something, and what is lost with it is little.
const SHARE = 8
const SPARE_MAX = 500
// What lasts no longer may not be given back in time: unused, it would still count in the key's own window.
const SPARE_LASTS_MS = 2500

/** What becomes of a request: an answer and how long it holds, or who must be asked before there is one. */
export type LeaseOutcome = { readonly book: Book } & (
  | { readonly answer: LeaseAnswer; readonly until: number; readonly holders?: undefined }
  | { readonly holders: readonly string[] }
)

/** Grants a holder what it wants, where that is there; it has settled what it had. */
export function grant(book: Book, holder: string, wanted: number, now: number): LeaseOutcome {
  const own = book.leases.find((lease) => lease.holder === holder) as Lease
  const others = book.leases.filter((lease) => lease !== own && lease.held > 0)
  const left = leftOf(book)
  const mayComeBack = others.length > 0 && isEnough(onceBack(book, left, heldBy(others)))
  // Who has some left is not waiting; and as it asks nobody, none of those who wait ever waits for one that waits itself.
  if (wanted > 0 && own.held === 0 && !isEnough(left) && mayComeBack) {
    return { book, holders: others.map((other) => other.holder) }
  }

  // What is held beyond what there is should be over soon.
  const longest = (left.remaining ?? 0) < 0 || (left.window ?? 0) < 0 ? own.until : now + LEASE_MS
  const end = Math.min(longest, nextRefillAt(book.meter) ?? Infinity)
  const granted = shareOf(left, wanted, end - now)
  const held = own.held + granted
  const hasSome = held > 0 || isEnough(left) || (wanted === 0 && mayComeBack)
  const answer = {
    granted,
    ...(hasSome ? ADMITTED : refusalOf(book, left, now)),
    remaining: left.remaining === null ? null : left.remaining - granted,
    windowRemaining: left.window === null ? null : Math.max(left.window - granted, 0),
  }
  const lease = { ...own, answer, held, until: held > 0 ? end : now }
  const { remaining } = answer
  const meter = remaining === book.meter.remaining ? book.meter : { ...book.meter, remaining }
  const leases = book.leases.map((other) => (other === own ? lease : other))
  return { book: { meter, leases }, answer, until: lease.until }
}

const ADMITTED = { code: '', retryAt: null } as const

/** What is left beside all leases; null where it is not counted. */
interface Left {
  readonly remaining: number | null
  readonly window: number | null
}

const leftOf = ({ meter, leases }: Book): Left => ({
  remaining: meter.remaining,
  window: meter.window && meter.window.max - countOf(meter.used) - heldBy(leases),
})

/** What is left once so much came back that others hold. */
const onceBack = ({ meter }: Book, { remaining, window }: Left, back: number): Left => ({
  remaining: meter.nextRemaining ?? (remaining === null ? null : remaining + back),
  window: window === null ? null : window + back,
})

/** True where one more is admitted. */
const isEnough = ({ remaining, window }: Left) =>
  (remaining === null || remaining > 0) && (window === null || window > 0)

function shareOf({ remaining, window }: Left, wanted: number, lastsMs: number): number {
  const most = Math.max(Math.min(remaining ?? Infinity, window ?? Infinity), 0)
  const asked = Math.min(wanted, most)
  if (asked === 0 || lastsMs < SPARE_LASTS_MS) return asked
  return asked + Math.min(Math.floor((most - asked) / SHARE), SPARE_MAX)
}

function refusalOf({ meter }: Book, left: Left, now: number): Pick<LeaseAnswer, 'code' | 'retryAt'> {
  if (meter.window && left.window !== null && left.window <= 0) {
    return { code: 'RATE_LIMITED', retryAt: freeAt(meter.used, meter.window, now) }
  }
  return { code: 'USAGE_EXCEEDED', retryAt: nextRefillAt(meter) ?? null }
}
