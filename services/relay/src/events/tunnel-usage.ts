import { randomBytes } from 'node:crypto'
import { newId } from '@instatunnel/kit/id'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { TunnelUsage, type TunnelUsage_Use } from '@instatunnel/proto/events/v1/events'
import { type Meter, TunnelMeter } from './tunnel-meter.ts'
import { createWaitingUsage } from './waiting-usage.ts'

export type { Meter } from './tunnel-meter.ts'

const FLUSH_MS = 1000
const MINUTE_MS = 60_000
const CLOSE_MS = 1000

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
  /** Those that were used since they were last told: the others are forgotten, until they are used again. */
  const live = new Set<TunnelMeter>()
  const waiting = createWaitingUsage()
  let minute = minuteOf(now().getTime())
  let untold: { id: string; time: Date; uses: TunnelUsage_Use[] } | undefined
  let telling: Promise<void> | undefined

  const gather = (at: number) => {
    for (const meter of live) {
      const use = meter.take(minute)
      if (use) {
        waiting.add(use)
        continue
      }
      live.delete(meter)
      if (meters.get(meter.tunnelId) === meter) meters.delete(meter.tunnelId)
    }
    // All that was counted until now was counted in the minute of the time before: this is called on the minute.
    minute = minuteOf(at)
  }
  const nextBatch = () => {
    const uses = waiting.nextBatch()
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
  const flush = (at: number): Promise<void> => {
    gather(at)
    telling ??= tell()
      .catch((error) => {
        log.warn({ cause: String(error), waiting: waiting.size }, 'tunnel usage waits')
        // A NATS that lost its storage has no stream to take it.
        nats.ensureStreams().catch(() => {})
      })
      .finally(() => {
        telling = undefined
      })
    return telling
  }
  const onTheSecond = () => {
    // One time for both: a timer that comes just before the minute comes again on it.
    const at = now().getTime()
    timer = setTimeout(onTheSecond, FLUSH_MS - (at % FLUSH_MS))
    flush(at)
  }
  let timer = setTimeout(onTheSecond, FLUSH_MS - (now().getTime() % FLUSH_MS))

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
      const flushNow = () => flush(now().getTime())
      const late = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())
      await Promise.race([flushNow().then(flushNow), late])
    },
  }
}

const minuteOf = (at: number) => new Date(at - (at % MINUTE_MS))
