import type { TunnelUsage_Use } from '@instatunnel/proto/events/v1/events'
import { sumOf } from './tunnel-meter.ts'

// NATS takes messages of up to 1 MiB: a use is at most 400 bytes and the latencies that it has.
const MAX_USES = 2000
const MAX_BYTES = 900_000
const MAX_WAITING = 20_000

/** The uses that wait to be told. */
export interface WaitingUsage {
  /** Adds a use to what waits of its tunnel and minute. */
  add(use: TunnelUsage_Use): void
  /** Takes out as many as one message may hold. */
  nextBatch(): TunnelUsage_Use[]
  readonly size: number
}

/**
 * Lets uses wait, however long: what comes is added to what is there, and where there are too many, a tunnel's minutes
 * become one. No count is lost.
 */
export function createWaitingUsage({ most = MAX_WAITING } = {}): WaitingUsage {
  let waiting = new Map<string, TunnelUsage_Use>()
  let bound = most

  const joinMinutes = () => {
    const perTunnel = new Map<string, TunnelUsage_Use>()
    for (const use of waiting.values()) perTunnel.set(use.tunnelId, sumOf(use, perTunnel.get(use.tunnelId)))
    waiting = new Map([...perTunnel.values()].map((use) => [keyOf(use), use]))
    bound = Math.max(most, 2 * waiting.size)
  }
  return {
    add(use) {
      waiting.set(keyOf(use), sumOf(use, waiting.get(keyOf(use))))
      if (waiting.size > bound) joinMinutes()
    },
    nextBatch() {
      const uses: TunnelUsage_Use[] = []
      let bytes = 0
      for (const [key, use] of waiting) {
        bytes += 400 + use.latencies.length * 8
        if (uses.length === MAX_USES || bytes > MAX_BYTES) break
        uses.push(use)
        waiting.delete(key)
      }
      return uses
    },
    get size() {
      return waiting.size
    },
  }
}

const keyOf = ({ tunnelId, minute }: TunnelUsage_Use) => `${tunnelId} ${minute?.getTime()}`
