import { status } from '@grpc/grpc-js'
import type {
  LeaseUsesRequest,
  LeaseUsesResponse,
  SettleUsesRequest,
  SettleUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'

/** How a key counts its uses. */
export interface Metering {
  readonly remaining?: number | undefined
  readonly refill?: { readonly amount: number; readonly intervalMs: number } | undefined
  readonly window?: { readonly max: number; readonly ms: number } | undefined
}

/** What is left of a key, what is leased of it included. */
export interface LeftOf {
  readonly remaining: number | undefined
  readonly window: number | undefined
}

/** Stands in for how keys leases uses: the contract of LeaseUses, for holders that live as long as it does. */
export interface Meters {
  meter(keyId: string, metering: Metering): void
  /** The key counts its uses no more. */
  forget(keyId: string): void
  leftOf(keyId: string): LeftOf
  lease(request: LeaseUsesRequest): LeaseUsesResponse | { code: number; details: string }
  /** And of SettleUses. */
  settle(request: SettleUsesRequest): SettleUsesResponse
}

const LEASE_MS = 10_000

/** Creates the meters, none yet; `now` in Unix milliseconds. */
export function createMeters(now: () => number): Meters {
  const meters = new Map<string, Meter>()
  const all: Meters = {
    meter: (keyId, metering) => void meters.set(keyId, meterOf(metering, now())),
    forget: (keyId) => void meters.delete(keyId),
    leftOf(keyId) {
      const meter = meters.get(keyId)
      if (!meter) throw new Error(`${keyId} counts no uses`)
      bringUpTo(meter, now())
      const held = heldOf(meter)
      const { remaining, window, used } = meter
      return {
        remaining: remaining === undefined ? undefined : remaining + held,
        window: window && window.max - used.length,
      }
    },
    lease({ keyId, holder, turn, wanted, used, returned, kept }) {
      const time = now()
      const meter = meters.get(keyId)
      if (!meter) return { code: status.NOT_FOUND, details: 'It counts no uses' }
      bringUpTo(meter, time)
      const own: Lease = meter.leases.get(holder) ?? { turn: 0, held: 0 }
      if (own.turn === turn && own.answer) return own.answer
      const settled = used.reduce((sum, { count }) => sum + count, 0) + returned + kept
      if (turn < own.turn || settled > own.held) return { code: status.ABORTED, details: 'That is lost' }
      for (const { agoMs, count } of used) meter.used.push(...Array<number>(count).fill(time - agoMs))
      if (meter.remaining !== undefined) meter.remaining += returned
      bringUpTo(meter, time)
      const lease: Lease = { turn, held: kept }
      meter.leases.set(holder, lease)
      const left = leftBeside(meter)
      const granted = Math.min(wanted, left)
      lease.held += granted
      if (meter.remaining !== undefined) meter.remaining -= granted
      const validForMs = Math.min(LEASE_MS, (meter.refillAt ?? Number.POSITIVE_INFINITY) - time)
      const code = left + kept > 0 ? { code: '', retryAfterMs: undefined } : refusalOf(meter, time)
      lease.answer = {
        ...code,
        granted,
        validForMs,
        remaining: meter.remaining,
        windowRemaining: roomOf(meter),
      }
      return lease.answer
    },
    settle({ holder, settlements }) {
      const lost = settlements.flatMap((one, index) =>
        'details' in all.lease({ ...one, holder, wanted: 0, kept: 0 }) ? [index] : [],
      )
      return { lost }
    },
  }
  return all
}

interface Meter {
  remaining: number | undefined
  refillAt: number | undefined
  readonly refill: Metering['refill']
  readonly window: Metering['window']
  /** When each use was that is in the window. */
  used: number[]
  readonly leases: Map<string, Lease>
}

interface Lease {
  turn: number
  held: number
  answer?: LeaseUsesResponse
}

const meterOf = ({ remaining, refill, window }: Metering, time: number): Meter => ({
  remaining,
  refillAt: refill && time + refill.intervalMs,
  refill,
  window,
  used: [],
  leases: new Map(),
})

const heldOf = ({ leases }: Meter) => [...leases.values()].reduce((sum, { held }) => sum + held, 0)

function bringUpTo(meter: Meter, time: number): void {
  const { refill, window } = meter
  while (refill && meter.refillAt !== undefined && meter.refillAt <= time) {
    meter.refillAt += refill.intervalMs
    meter.remaining = refill.amount
    // What was leased of before is worth nothing any more.
    for (const lease of meter.leases.values()) lease.held = 0
  }
  meter.used = window
    ? meter.used.filter((at) => at > time - window.ms).sort((one, other) => one - other)
    : []
}

/** What the window admits beside all leases. */
const roomOf = (meter: Meter) =>
  meter.window && Math.max(meter.window.max - meter.used.length - heldOf(meter), 0)

const leftBeside = (meter: Meter) =>
  Math.min(meter.remaining ?? Number.POSITIVE_INFINITY, roomOf(meter) ?? Number.POSITIVE_INFINITY)

function refusalOf(meter: Meter, time: number): Pick<LeaseUsesResponse, 'code' | 'retryAfterMs'> {
  const { window, used, refillAt } = meter
  if (window && roomOf(meter) === 0)
    return { code: 'RATE_LIMITED', retryAfterMs: (used[0] ?? time) + window.ms - time }
  return { code: 'USAGE_EXCEEDED', retryAfterMs: refillAt && refillAt - time }
}
