import { type CountedTimes, cellsOf, mergedByCell } from '@instatunnel/kit/moments'

/** When uses were that are not settled yet, and how many each time. */
export type LeaseMoments = CountedTimes

// So many are kept as they are, and keys takes as many in one request. Past that, what was used in one cell of the key's
// own window is used at the latest of it; or of a lease, which is shorter than most windows.
const EXACT_MOMENTS = 256
const CELLS = 192
const LEASE_MS = 10_000

/** No uses yet. */
export const noLeaseMoments = (): LeaseMoments => ({ times: [], counts: [] })

/** The uses with one more; a use may count too long in the key's own window, by a cell at most, never too short. */
export function withUse(moments: LeaseMoments, time: number, windowMs: number): LeaseMoments {
  const { times, counts } = moments
  const last = times.length - 1
  if (last >= 0 && time <= (times[last] as number)) {
    counts[last] = (counts[last] as number) + 1
    return moments
  }
  times.push(time)
  counts.push(1)
  if (times.length < EXACT_MOMENTS) return moments
  const cellOf = cellsOf(Math.min(windowMs, LEASE_MS) / CELLS)
  // What has left a short window by now is all the same.
  return mergedByCell(times, counts, (at) => (at <= time - windowMs ? Number.NEGATIVE_INFINITY : cellOf(at)))
}

/** How many uses there are. */
export const usesIn = ({ counts }: LeaseMoments): number => counts.reduce((sum, count) => sum + count, 0)
