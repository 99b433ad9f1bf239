import type { Moment, OwnWindow } from './own-window.ts'

/** What counts a key's uses; times in Unix milliseconds. */
export interface Meter {
  /** Uses beside all leases; null where they are not counted down. Below 0 while more is leased than was set to remain. */
  readonly remaining: number | null
  /** What remains once nobody holds any of what was leased before; null where all that is leased is part of what remains. */
  readonly nextRemaining: number | null
  readonly refill: Refill | null
  /** When it was last refilled; null where it never was. */
  readonly lastRefillAt: number | null
  /** Null where it has none, or it is lifted. */
  readonly window: OwnWindow | null
  /** Uses that are settled, oldest first. */
  readonly used: readonly Moment[]
}

/** How a key's uses are refilled: set to the amount at each whole interval. */
export interface Refill {
  readonly amount: number
  readonly intervalMs: number
  /** What the intervals are counted from, where it was never refilled. */
  readonly from: number
}

/** The meter with every refill that was due; only the last one counts, for a refill sets what remains. */
export function refilled(meter: Meter, now: number): Meter {
  const next = nextRefillAt(meter)
  if (next === undefined || next > now || !meter.refill) return meter
  const { amount, intervalMs } = meter.refill
  const lastRefillAt = next + Math.floor((now - next) / intervalMs) * intervalMs
  return { ...meter, remaining: amount, nextRemaining: null, lastRefillAt }
}

/** When the next refill is due; undefined where there is none. */
export function nextRefillAt({ remaining, refill, lastRefillAt }: Meter): number | undefined {
  if (remaining === null || !refill) return undefined
  return Math.max(lastRefillAt ?? refill.from, refill.from) + refill.intervalMs
}
