import { describe, expect, it } from 'vitest'
import { LATENCY_BUCKETS, latencyBucket, latencyOf, percentile } from './latency.ts'

/** So many of each latency, counted. */
function counted(latencies: readonly number[]): number[] {
  const counts = new Array<number>(LATENCY_BUCKETS).fill(0)
  for (const ms of latencies) counts[latencyBucket(ms)] = (counts[latencyBucket(ms)] ?? 0) + 1
  return counts
}

describe('latencyBucket', () => {
  it('tells any latency from half a millisecond to 90 s within 5%', () => {
    for (let ms = 0.51; ms < 90_000; ms *= 1.013) {
      const told = latencyOf(latencyBucket(ms))
      expect(Math.abs(told - ms) / ms, `${ms} ms`).toBeLessThan(0.05)
    }
  })

  it('grows with the latency, and has a bucket for every one', () => {
    let last = 0
    for (let ms = 0; ms < 1e9; ms = ms * 1.05 + 0.01) {
      const bucket = latencyBucket(ms)
      expect(bucket).toBeGreaterThanOrEqual(last)
      last = bucket
    }
    expect(last).toBe(LATENCY_BUCKETS - 1)
    expect(latencyBucket(0)).toBe(0)
    expect(latencyBucket(Number.POSITIVE_INFINITY)).toBe(LATENCY_BUCKETS - 1)
  })
})

describe('percentile', () => {
  it('is what that share does not exceed, within 5%', () => {
    const counts = counted(Array.from({ length: 1000 }, (_, n) => n + 1))
    for (const share of [0.5, 0.95, 0.99]) {
      const told = percentile(counts, share) ?? 0
      expect(Math.abs(told - 1000 * share) / (1000 * share)).toBeLessThan(0.05)
    }
  })

  it('of one is that one, of none nothing', () => {
    const counts = counted([20])
    for (const share of [0.01, 0.5, 0.99, 1])
      expect(percentile(counts, share)).toBe(latencyOf(latencyBucket(20)))
    expect(percentile(counted([]), 0.5)).toBeUndefined()
    expect(percentile([], 0.5)).toBeUndefined()
  })

  it('has the slowest show in the highest share only', () => {
    const counts = counted([...new Array<number>(99).fill(1), 5000])
    expect(percentile(counts, 0.5)).toBe(latencyOf(latencyBucket(1)))
    expect(percentile(counts, 0.99)).toBe(latencyOf(latencyBucket(1)))
    expect(percentile(counts, 1)).toBe(latencyOf(latencyBucket(5000)))
  })
})
