import { percentile } from '@instatunnel/kit/latency'
import type { Latency, TrafficPeriod } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import type { Traffic } from '../domain/traffic.ts'

const NONE: Traffic = { requests: 0, bytesIn: 0, bytesOut: 0, statusClasses: [], latencies: [] }

/** What passed through a tunnel within a time, as the contract shows it; nothing, where it is left out. */
export function periodMessage(start: Date, traffic: Traffic = NONE): TrafficPeriod {
  const { requests, bytesIn, bytesOut, statusClasses, latencies } = traffic
  const [status1xx = 0, status2xx = 0, status3xx = 0, status4xx = 0, status5xx = 0] = statusClasses
  const status = { status1xx, status2xx, status3xx, status4xx, status5xx }
  return { start, requests, bytesIn, bytesOut, status, latencyMs: latencyOf(latencies) }
}

function latencyOf(latencies: readonly number[]): Latency | undefined {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(latencies, share))
  if (p50 === undefined || p95 === undefined || p99 === undefined) return undefined
  return { p50: rounded(p50), p95: rounded(p95), p99: rounded(p99) }
}

const rounded = (ms: number) => Math.round(ms * 100) / 100
