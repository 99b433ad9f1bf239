import { describe, expect, it } from 'vitest'
import { createSteadyTime } from './steady-time.ts'

describe('createSteadyTime', () => {
  it('says what the clock does, as long as that is not set back', () => {
    const steady = createSteadyTime()
    for (const time of [5, 5, 6, 100]) expect(steady.now(time)).toBe(time)
    expect(steady.was(6)).toBe(6)
  })

  it('goes on where the clock was set back, and as fast, however often', () => {
    const steady = createSteadyTime()
    const times = [1000, 1010, 0, 1, 50, 49, 50, 2000].map((time) => steady.now(time))
    expect(times).toEqual([1000, 1010, 1010, 1011, 1060, 1060, 1061, 3011])
    expect(steady.was(2000)).toBe(3011)
    expect(steady.was(51)).toBe(1062)
  })
})
