import { cellsOf, mergedByCell } from '@instatunnel/kit/moments'

// So many moments of one window are kept as they are; past that, those of one cell of it become one.
const MAX_MOMENTS = 1000
const CELLS = 500

/** The moments that calls were counted at, in order: at most a thousand numbers, however many calls. */
export interface Moments {
  /** How many calls are counted. */
  counted: number
  /** Those before `first` have left. */
  times: number[]
  first: number
  /** How many calls each moment stands for; undefined while it is one each. */
  calls: number[] | undefined
  /** Until when moments have left. */
  until: number
}

/** No moments yet. */
export const noMoments = (): Moments => ({
  counted: 0,
  times: [],
  first: 0,
  calls: undefined,
  until: Number.NEGATIVE_INFINITY,
})

/**
 * Counts a call, the latest. Of more than a thousand moments, neighbours merge to the later one, by a five-hundredth of the window at
 * most: a call may leave late, never early.
 */
export function addMoment(moments: Moments, time: number, windowMs: number): void {
  if (moments.times.length - moments.first >= MAX_MOMENTS) merge(moments, Math.ceil(windowMs / CELLS))
  const { times } = moments
  // Written so, as a first push would make room for seventeen.
  if (times.length === 0) moments.times = [time]
  else times.push(time)
  moments.calls?.push(1)
  moments.counted++
}

/** Takes back the call that was counted at a time. One that has left already stays as it is. */
export function removeMoment(moments: Moments, time: number): void {
  const { times, first, calls } = moments
  if (time <= moments.until) return
  let index = times.length
  // Where it was merged, it is the next one that stands for it.
  while (index > first && (times[index - 1] as number) >= time) index--
  if (index === times.length) return
  moments.counted--
  if (calls && (calls[index] as number) > 1) {
    calls[index] = (calls[index] as number) - 1
    return
  }
  times.splice(index, 1)
  calls?.splice(index, 1)
}

/** Forgets the moments up to a time, itself included. */
export function forgetMoments(moments: Moments, until: number): void {
  const { times, calls } = moments
  while (moments.first < times.length && (times[moments.first] as number) <= until) {
    moments.counted -= calls?.[moments.first] ?? 1
    moments.first++
  }
  moments.until = Math.max(moments.until, until)
  // Moved down only when half of it is dead, so that a call costs the same whatever the limit.
  if (moments.first * 2 > times.length) {
    moments.times = times.slice(moments.first)
    moments.calls = moments.times.length === 0 ? undefined : calls?.slice(moments.first)
    moments.first = 0
  }
}

/** The moment of the call that so many were counted before; undefined where there are no more. */
export function momentAfter({ times, first, calls }: Moments, before: number): number | undefined {
  if (!calls) return times[first + before]
  let index = first
  for (let passed = calls[index] ?? 0; passed <= before && index < times.length; passed += calls[index] ?? 0)
    index++
  return times[index]
}

function merge(moments: Moments, cellMs: number): void {
  const { times, first, calls } = moments
  const { counts, ...merged } = mergedByCell(times.slice(first), calls?.slice(first), cellsOf(cellMs))
  Object.assign(moments, { ...merged, calls: counts, first: 0 })
}
