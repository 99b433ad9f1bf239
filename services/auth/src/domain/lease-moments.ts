/** When uses were, in Unix milliseconds and in order, and how many each time. */
export interface LeaseMoments {
  times: number[]
  counts: number[]
}

// Keys takes so many in one request.
const MOST = 64

/** No uses yet. */
export const noLeaseMoments = (): LeaseMoments => ({ times: [], counts: [] })

/** Counts one use. Of too many moments each two become the later one: a use may count too long, never too short. */
export function addUse(moments: LeaseMoments, time: number): void {
  const { times, counts } = moments
  const last = times.length - 1
  if (last >= 0 && time <= (times[last] as number)) {
    counts[last] = (counts[last] as number) + 1
    return
  }
  if (times.length === MOST) halve(moments)
  moments.times.push(time)
  moments.counts.push(1)
}

/** How many uses there are. */
export const usesIn = ({ counts }: LeaseMoments): number => counts.reduce((sum, count) => sum + count, 0)

function halve(moments: LeaseMoments): void {
  const { times, counts } = moments
  moments.times = times.filter((_, i) => i % 2 === 1)
  moments.counts = moments.times.map((_, i) => (counts[i * 2] as number) + (counts[i * 2 + 1] as number))
}
