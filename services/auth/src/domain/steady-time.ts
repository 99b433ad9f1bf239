/** Times in milliseconds that never go back. */
export interface SteadyTime {
  /** What time it is; `time` is what the clock says just now. */
  now(time: number): number
  /** What time it was when the clock said that, where it was not set back since; a later one where it was. */
  was(time: number): number
}

/**
 * Makes of a clock that may be set back times that go on from there. A clock that is set ahead is believed: that is time
 * that passed. Whoever tells it an old time has it run fast: it must be what the clock says now.
 */
export function createSteadyTime(): SteadyTime {
  let last = Number.NEGATIVE_INFINITY
  let ahead = 0
  return {
    now(time) {
      if (time + ahead < last) ahead = last - time
      last = time + ahead
      return last
    },
    was: (time) => time + ahead,
  }
}
