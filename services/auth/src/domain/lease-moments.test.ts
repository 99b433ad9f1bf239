import { describe, expect, it } from 'vitest'
import { type LeaseMoments, noLeaseMoments, usesIn, withUse } from './lease-moments.ts'

const used = (times: Iterable<number>, windowMs = 60_000): LeaseMoments =>
  Array.from(times).reduce((moments, time) => withUse(moments, time, windowMs), noLeaseMoments())
const upTo = (end: number, step = 1) => Array.from({ length: end / step }, (_, i) => i * step)

describe('withUse', () => {
  it('counts uses of one millisecond together', () => {
    expect(used([5, 5, 5, 8])).toEqual({ times: [5, 8], counts: [3, 1] })
  })

  it('forgets none of 255 moments', () => {
    const times = upTo(255 * 39, 39)
    expect(used(times).times).toEqual(times)
  })

  it.each([100, 1000, 9999, 60_000, Number.POSITIVE_INFINITY])(
    'of a window of %d ms, has none leave early, nor late by a 192nd of it, in 256 moments at most',
    (windowMs) => {
      const times = upTo(10_000)
      const moments = used(times, windowMs)
      expect(moments.times.length).toBeLessThanOrEqual(256)
      expect(usesIn(moments)).toBe(10_000)
      let counted = 0
      for (const [i, at] of moments.times.entries()) {
        const first = counted
        counted += moments.counts[i] as number
        // One use each millisecond: these are those from `first` on.
        expect(counted - 1).toBe(at)
        if (first > 9999 - windowMs) expect(at - first).toBeLessThan(Math.min(windowMs, 10_000) / 192 + 1e-9)
      }
    },
  )

  it('counts a use late where the clock was set back, never early', () => {
    expect(used([100, 40])).toEqual({ times: [100], counts: [2] })
  })
})
