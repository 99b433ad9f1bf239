import { LATENCY_BUCKETS, latencyBucket } from '@instatunnel/kit/latency'
import type { TunnelUsage_Use } from '@instatunnel/proto/events/v1/events'

/** Counts what passes through one tunnel; every method is a few additions. */
export interface Meter {
  /** One request, answered with a status of this first digit, so long after it came. */
  request(statusClass: number, latencyMs: number): void
  bytesIn(bytes: number): void
  bytesOut(bytes: number): void
}

/** A meter that says what it counted. A class, as every request passes here: it allocates nothing. */
export class TunnelMeter implements Meter {
  readonly tunnelId: string
  readonly #userId: string
  /** Where it is told from; it puts itself there when it is used. */
  readonly #live: Set<TunnelMeter>
  readonly #statusClasses = new Float64Array(5)
  readonly #latencies = new Uint32Array(LATENCY_BUCKETS)
  #requests = 0
  #in = 0
  #out = 0

  constructor(tunnelId: string, userId: string, live: Set<TunnelMeter>) {
    this.tunnelId = tunnelId
    this.#userId = userId
    this.#live = live
  }

  request(statusClass: number, latencyMs: number): void {
    this.#requests++
    const index = Math.min(5, Math.max(1, statusClass)) - 1
    this.#statusClasses[index] = (this.#statusClasses[index] ?? 0) + 1
    const bucket = latencyBucket(latencyMs)
    this.#latencies[bucket] = (this.#latencies[bucket] ?? 0) + 1
    this.#live.add(this)
  }

  bytesIn(bytes: number): void {
    this.#in += bytes
    this.#live.add(this)
  }

  bytesOut(bytes: number): void {
    this.#out += bytes
    this.#live.add(this)
  }

  /** What was counted since it was last taken, as of that minute; undefined where that is nothing. */
  take(minute: Date): TunnelUsage_Use | undefined {
    if (this.#requests + this.#in + this.#out === 0) return undefined
    const latencies: number[] = []
    this.#latencies.forEach((count, bucket) => {
      if (count > 0) latencies.push(bucket, count)
    })
    const use = {
      tunnelId: this.tunnelId,
      userId: this.#userId,
      requests: this.#requests,
      bytes: this.#in + this.#out,
      minute,
      bytesIn: this.#in,
      bytesOut: this.#out,
      statusClasses: [...this.#statusClasses],
      latencies,
    }
    this.#requests = 0
    this.#in = 0
    this.#out = 0
    this.#statusClasses.fill(0)
    this.#latencies.fill(0)
    return use
  }
}

/** Two uses of one tunnel as one, of the first's minute. */
export function sumOf(one: TunnelUsage_Use, other: TunnelUsage_Use | undefined): TunnelUsage_Use {
  if (!other) return one
  const counts = new Map<number, number>()
  for (const { latencies } of [one, other]) {
    for (let i = 0; i < latencies.length; i += 2) {
      const bucket = latencies[i] as number
      counts.set(bucket, (counts.get(bucket) ?? 0) + (latencies[i + 1] as number))
    }
  }
  return {
    ...one,
    requests: one.requests + other.requests,
    bytes: one.bytes + other.bytes,
    bytesIn: one.bytesIn + other.bytesIn,
    bytesOut: one.bytesOut + other.bytesOut,
    statusClasses: one.statusClasses.map((count, i) => count + (other.statusClasses[i] ?? 0)),
    latencies: [...counts].sort(([a], [b]) => a - b).flat(),
  }
}
