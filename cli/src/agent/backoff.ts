const FIRST_MS = 200
const LONGEST_MS = 10_000
// A connection that stood so long was one: the next failure begins anew.
const STEADY_MS = 10_000

/** How long to wait before the next try. */
export interface Backoff {
  /** Random up to a bound that doubles with each failure in a row, so that many agents do not come at once. */
  next(atLeastMs?: number): number
  /** The connection is over that stood for so long. */
  stood(ms: number): void
}

/** Full jitter, from 0.1 s on average to 10 s at most; what a server asks for comes on top. */
export function createBackoff(random: () => number = Math.random): Backoff {
  let failures = 0
  return {
    next: (atLeastMs = 0) => atLeastMs + random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** failures++),
    stood: (ms) => {
      if (ms >= STEADY_MS) failures = 0
    },
  }
}
