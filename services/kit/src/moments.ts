/** When something was, oldest first, in Unix milliseconds; and how often each time. */
export interface CountedTimes {
  readonly times: number[]
  readonly counts: number[]
}

/**
 * Makes one of the moments in each cell, the latest, so that in a sliding window what they stand for leaves late by less
 * than a cell, and never early. Cells lie still: what is added later moves none into the next. `counts` undefined is one each.
 */
export function mergedByCell(
  times: readonly number[],
  counts: readonly number[] | undefined,
  cellOf: (time: number) => number,
): CountedTimes {
  const merged: CountedTimes = { times: [], counts: [] }
  let cell = Number.NaN
  for (const [i, time] of times.entries()) {
    const count = counts?.[i] ?? 1
    const last = merged.times.length - 1
    if (cellOf(time) === cell) {
      merged.times[last] = time
      merged.counts[last] = (merged.counts[last] as number) + count
    } else {
      cell = cellOf(time)
      merged.times.push(time)
      merged.counts.push(count)
    }
  }
  return merged
}

/** Cells of this length. */
export const cellsOf =
  (cellMs: number) =>
  (time: number): number =>
    Math.floor(time / cellMs)
