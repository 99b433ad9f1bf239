import { describe, expect, it } from 'vitest'
import { addUse, noLeaseMoments, usesIn } from './lease-moments.ts'

describe('addUse', () => {
  it('counts uses of one millisecond together', () => {
    const moments = noLeaseMoments()
    for (const time of [5, 5, 5, 8]) addUse(moments, time)
    expect(moments).toEqual({ times: [5, 8], counts: [3, 1] })
  })

  it('keeps at most 64 moments: none is ever earlier than the use', () => {
    const moments = noLeaseMoments()
    for (let time = 0; time < 10_000; time++) {
      addUse(moments, time)
      expect(moments.times.length).toBeLessThanOrEqual(64)
    }
    expect(usesIn(moments)).toBe(10_000)
    expect(moments.times.at(-1)).toBe(9999)
    // So many by each moment as there were uses up to it, at most.
    let counted = 0
    for (const [i, time] of moments.times.entries()) {
      counted += moments.counts[i] as number
      expect(counted).toBeLessThanOrEqual(time + 1)
    }
  })

  it('counts a use late where the clock was set back, never early', () => {
    const moments = noLeaseMoments()
    for (const time of [100, 40]) addUse(moments, time)
    expect(moments).toEqual({ times: [100], counts: [2] })
  })
})
