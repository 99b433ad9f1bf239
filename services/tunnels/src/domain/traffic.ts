const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** How long the minutes of a tunnel are kept: the longest series that is shown, and an hour more. */
export const MINUTES_KEPT_MS = 25 * 60 * MINUTE_MS

/** How long the days of a tunnel are kept. */
export const DAYS_KEPT_MS = 400 * DAY_MS

/** What passed through a tunnel. */
export interface Traffic {
  readonly requests: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Requests by the first digit of their status, 1xx first. */
  readonly statusClasses: readonly number[]
  /** Requests by the bucket of kit/latency that their latency falls into; the last that is not 0 ends it. */
  readonly latencies: readonly number[]
}

/** What passed through a tunnel within a minute, within a day in UTC, or ever since it was made. */
export interface TrafficPeriod extends Traffic {
  readonly unit: 'all' | 'minute' | 'day'
  /** When it began; of all, the epoch. */
  readonly start: Date
}

/** The start of all. */
export const EPOCH = new Date(0)

/** When the minute that a time is in began; of so many minutes earlier, where it is said. */
export const minuteOf = (time: Date, earlier = 0) => startOf(time, MINUTE_MS, earlier)

/** When the day that a time is in began, in UTC; of so many days earlier, where it is said. */
export const dayOf = (time: Date, earlier = 0) => startOf(time, DAY_MS, earlier)

const startOf = (time: Date, unitMs: number, earlier: number) =>
  new Date((Math.floor(time.getTime() / unitMs) - earlier) * unitMs)
