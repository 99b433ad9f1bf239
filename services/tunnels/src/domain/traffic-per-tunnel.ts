import { isId } from '@instatunnel/kit/id'
import { LATENCY_BUCKETS } from '@instatunnel/kit/latency'
import { DAYS_KEPT_MS, dayOf, EPOCH, MINUTES_KEPT_MS, minuteOf, type TrafficPeriod } from './traffic.ts'
import { TUNNEL_ID } from './tunnel.ts'
import { amountOf, isUser } from './usage.ts'

// Clocks differ. A minute that begins later than that is none of ours.
const AHEAD_MS = 10 * 60 * 1000
const STATUS_CLASSES = 5

/** One tunnel's part of one minute, as it was told. */
export interface TunnelUse {
  readonly tunnelId: string
  readonly userId: string
  readonly requests: number
  /** Absent where it was told in the older form, which says nothing of how requests were answered. */
  readonly minute: Date | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly statusClasses: readonly number[]
  /** Bucket and count in turns. */
  readonly latencies: readonly number[]
}

/** What to add to one period of a tunnel. */
export interface AddedTraffic extends TrafficPeriod {
  readonly tunnelId: string
}

/**
 * The sums per tunnel: of its minutes and days that are kept, and of all. They are in the order of tunnels' ids, units
 * and starts, so that two batches lock rows in one order. What is no amount counts for nothing, and so does a use of
 * no tunnel, no user or no minute: a batch that could never be stored would hold up all that come after it.
 */
export function trafficPerTunnel(uses: readonly TunnelUse[], now: Date): AddedTraffic[] {
  const sums = new Map<string, Sum>()
  for (const use of uses) {
    for (const { unit, start } of periodsOf(use, now)) {
      const key = `${use.tunnelId} ${unit} ${start.toISOString()}`
      const sum = sums.get(key) ?? emptySum(use.tunnelId, unit, start)
      sums.set(key, sum)
      add(sum, use)
    }
  }
  const told = [...sums].filter(([, { requests, bytesIn, bytesOut }]) => requests + bytesIn + bytesOut > 0)
  return told.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum)
}

/** The periods that a use counts for. */
function periodsOf({ tunnelId, userId, minute }: TunnelUse, now: Date): Pick<Sum, 'unit' | 'start'>[] {
  const ageMs = minute ? now.getTime() - minuteOf(minute).getTime() : Number.NaN
  if (!minute || !(ageMs > -AHEAD_MS) || !isId(tunnelId, TUNNEL_ID) || !isUser(userId)) return []
  return [
    { unit: 'all', start: EPOCH },
    ...(ageMs < DAYS_KEPT_MS ? [{ unit: 'day' as const, start: dayOf(minute) }] : []),
    ...(ageMs < MINUTES_KEPT_MS ? [{ unit: 'minute' as const, start: minuteOf(minute) }] : []),
  ]
}

/** AddedTraffic while it is being added to. */
interface Sum extends Pick<AddedTraffic, 'tunnelId' | 'unit' | 'start'> {
  requests: number
  bytesIn: number
  bytesOut: number
  readonly statusClasses: number[]
  readonly latencies: number[]
}

const emptySum = (tunnelId: string, unit: Sum['unit'], start: Date): Sum => ({
  tunnelId,
  unit,
  start,
  requests: 0,
  bytesIn: 0,
  bytesOut: 0,
  statusClasses: new Array(STATUS_CLASSES).fill(0),
  latencies: [],
})

function add(sum: Sum, use: TunnelUse): void {
  sum.requests += amountOf(use.requests)
  sum.bytesIn += amountOf(use.bytesIn)
  sum.bytesOut += amountOf(use.bytesOut)
  for (const [i, total] of sum.statusClasses.entries()) {
    sum.statusClasses[i] = total + amountOf(use.statusClasses[i] ?? 0)
  }
  for (let i = 0; i + 1 < use.latencies.length; i += 2) {
    addLatency(sum.latencies, use.latencies[i] ?? Number.NaN, amountOf(use.latencies[i + 1] ?? 0))
  }
}

function addLatency(latencies: number[], bucket: number, count: number): void {
  if (count === 0 || !Number.isInteger(bucket) || bucket < 0 || bucket >= LATENCY_BUCKETS) return
  while (latencies.length <= bucket) latencies.push(0)
  latencies[bucket] = (latencies[bucket] ?? 0) + count
}
