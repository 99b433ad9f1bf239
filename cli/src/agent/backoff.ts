const FIRST_MS = 200
const LONGEST_MS = 10_000
// A connection that stood so long was one: the next failure begins anew.
const STEADY_MS = 10_000
// As many relays as may drain, or renames that may come, one after the other.
const MOVES_AT_ONCE = 10

/** How long to wait before the next try. */
export interface Backoff {
  /** Random up to a bound that doubles with each failure in a row, so that many agents do not come at once. */
  next(atLeastMs?: number): number
  /** The connection is over that stood for so long. */
  stood(ms: number): void
  /** How long to wait before moving from a connection that stood for that time: 0 for the first ten moves in a row. */
  move(stoodMs: number): number
}

/** Full jitter, from 0.1 s on average to 10 s at most; what a server asks for comes on top. */
export function createBackoff(random: () => number = Math.random): Backoff {
  let failures = 0
  let moves = 0
  const next = (atLeastMs = 0) => atLeastMs + random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** failures++)
  return {
    next,
    move: (stoodMs) => {
      if (stoodMs >= STEADY_MS) moves = 0
      return moves++ < MOVES_AT_ONCE ? 0 : next()
    },
    stood: (ms) => {
      if (ms >= STEADY_MS) failures = 0
    },
  }
}
