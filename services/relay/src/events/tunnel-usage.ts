import { randomBytes } from 'node:crypto'
import { newId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import { LATENCY_BUCKETS, latencyBucket } from '@instatunnel/kit/latency'
import type { Logger } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { TunnelUsage, type TunnelUsage_Use } from '@instatunnel/proto/events/v1/events'

const FLUSH_MS = 1000
const MINUTE_MS = 60_000
// A use is a few hundred bytes of JSON, and at most some KiB: such a batch is under NATS's 1 MiB.
const MAX_USES = 2000
const MAX_BATCH_BYTES = 900_000

/** Counts what passes through one tunnel; every method is a few additions. */
export interface Meter {
  /** One request, answered with a status of this first digit, so long after it came. */
  request(statusClass: number, latencyMs: number): void
  bytesIn(bytes: number): void
  bytesOut(bytes: number): void
}

/** Meters of all tunnels, and their teller. */
export interface TunnelUsageTeller {
  meter(tunnelId: string, userId: string): Meter
  /** Tells what is left and stops; 1 s at most. */
  close(): Promise<void>
}

/** Tells `usage.tunnel` once a second; a batch that NATS did not take is told again under its own id. */
export function startTunnelUsage(options: { nats: Nats; log: Logger; now: () => Date }): TunnelUsageTeller {
  const { nats, log, now } = options
  const meters = new Map<string, TunnelMeter>()
  /** Those that have been used lately: the others are forgotten, until they are used again. */
  const live = new Set<TunnelMeter>()
  /** By tunnel and minute: while NATS is away, what comes is added to what waits. */
  const waiting = new Map<string, TunnelUsage_Use>()
  let untold: { id: string; time: Date; uses: TunnelUsage_Use[] } | undefined
  let telling: Promise<void> | undefined

  const gather = () => {
    // Of the second that has just passed.
    const minute = new Date(Math.floor((now().getTime() - FLUSH_MS / 2) / MINUTE_MS) * MINUTE_MS)
    for (const meter of live) {
      const use = meter.take(minute)
      if (use) {
        const key = `${use.tunnelId} ${minute.getTime()}`
        waiting.set(key, sum(waiting.get(key), use))
        continue
      }
      live.delete(meter)
      if (meters.get(meter.tunnelId) === meter) meters.delete(meter.tunnelId)
    }
  }
  const nextBatch = () => {
    const uses: TunnelUsage_Use[] = []
    let bytes = 0
    for (const [key, use] of waiting) {
      bytes += 400 + use.latencies.length * 8
      if (uses.length >= MAX_USES || bytes > MAX_BATCH_BYTES) break
      uses.push(use)
      waiting.delete(key)
    }
    return uses.length === 0 ? undefined : { id: newId('evt_', now(), randomBytes), time: now(), uses }
  }
  const tell = async () => {
    untold ??= nextBatch()
    while (untold) {
      const { id, time, uses } = untold
      const data = TunnelUsage.toJSON({ uses }) as object
      await publishEvent(nats, 'relay', { id, type: 'usage.tunnel', subject: 'tunnels', time, data })
      untold = nextBatch()
    }
  }
  const flush = (): Promise<void> => {
    gather()
    telling ??= tell()
      .catch((error) => log.warn({ cause: String(error) }, 'tunnel usage waits'))
      .finally(() => {
        telling = undefined
      })
    return telling
  }
  // On the second, so that a minute's last second is told as that minute's.
  const next = () =>
    setTimeout(
      () => {
        flush()
        timer = next()
      },
      FLUSH_MS - (now().getTime() % FLUSH_MS),
    )
  let timer = next()

  return {
    meter(tunnelId, userId) {
      const known = meters.get(tunnelId)
      if (known) return known
      const made = new TunnelMeter(tunnelId, userId, live)
      meters.set(tunnelId, made)
      live.add(made)
      return made
    },
    async close() {
      clearTimeout(timer)
      await Promise.race([flush().then(flush), new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    },
  }
}

class TunnelMeter implements Meter {
  readonly tunnelId: string
  readonly #userId: string
  /** Where it is told from; it returns by itself when it is used again. */
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

  /** What was counted since it was last taken; undefined where that is nothing. */
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

/** Two uses of one tunnel in one minute as one. */
function sum(one: TunnelUsage_Use | undefined, other: TunnelUsage_Use): TunnelUsage_Use {
  if (!one) return other
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
