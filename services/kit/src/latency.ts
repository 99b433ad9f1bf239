// Each bucket's bound is a tenth larger than the one before, from 0.5 ms on: 128 of them reach 90 s, what took longer
// counts as that, and a percentile is told within 5%.
const FIRST_MS = 0.5
const GROWTH = 1.1
const LAST = 127

/** How many buckets a latency may fall into. */
export const LATENCY_BUCKETS = LAST + 1

/** The bucket that a latency falls into. */
export function latencyBucket(ms: number): number {
  if (ms <= FIRST_MS) return 0
  return Math.min(LAST, Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH) - 1e-9))
}

/** The latency that stands for a bucket, in milliseconds: the middle of it. */
export const latencyOf = (bucket: number): number =>
  bucket === 0 ? FIRST_MS : FIRST_MS * GROWTH ** (bucket - 0.5)

/** The latency that a share (0.5, 0.95 …) of all does not exceed; undefined where the counts are all 0. */
export function percentile(counts: readonly number[], share: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0)
  if (all === 0) return undefined
  let left = Math.ceil(all * share)
  const bucket = counts.findIndex((count) => {
    left -= count
    return left <= 0
  })
  return latencyOf(bucket)
}
