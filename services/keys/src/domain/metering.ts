import { invalidFields } from '@instatunnel/kit/refusal'
import { refilled } from './lease-meter.ts'

/** How a key's uses are counted. */
export interface Metering {
  /** False where neither its own window nor its owner's limits hold calls back. */
  readonly rateLimitEnabled: boolean
  /** How many more calls it admits, beside those that are leased; null where they are not counted. */
  readonly remaining: number | null
  /** What remaining is set to at each refill; null where there is none. */
  readonly refillAmount: number | null
  /** Milliseconds from one refill to the next; null where there is none. */
  readonly refillInterval: number | null
  /** The length of its own window, in milliseconds; null where it has none. */
  readonly rateLimitTimeWindow: number | null
  /** How many calls its own window admits; null where it has none. */
  readonly rateLimitMax: number | null
}

/** What became of the uses of a key. */
export interface Metered extends Metering {
  /** When the refill was chosen; null where there is none. */
  readonly refillFrom: Date | null
  /** What remains once what was leased before is settled; null where all that is leased remains, too. */
  readonly nextRemaining: number | null
  /** Null where it was never refilled. */
  readonly lastRefillAt: Date | null
  /** What replicas of auth hold: how many uses, and until when, in Unix milliseconds. */
  readonly leases: readonly { readonly held: number; readonly until: number }[]
}

/**
 * The same as of now: refills that were due are done, and what is leased counts as remaining, unless its lease is over.
 * The leases themselves change that later, when they are looked at.
 */
export function meteredAsOf<M extends Metered>(metered: M, now: Date): M {
  const { remaining, nextRemaining, refillAmount, refillInterval, refillFrom, lastRefillAt, leases } = metered
  if (remaining === null) return metered
  const refill =
    refillAmount === null || refillInterval === null || refillFrom === null
      ? null
      : { amount: refillAmount, intervalMs: refillInterval, from: refillFrom.getTime() }
  const last = lastRefillAt?.getTime() ?? null
  const meter = { remaining, nextRemaining, refill, lastRefillAt: last, window: null, used: [] }
  const after = refilled(meter, now.getTime())
  if (after !== meter) {
    return {
      ...metered,
      remaining: after.remaining,
      nextRemaining: null,
      lastRefillAt: new Date(after.lastRefillAt ?? 0),
      leases: [],
    }
  }
  const held = leases.reduce((sum, lease) => sum + (lease.until > now.getTime() ? lease.held : 0), 0)
  return { ...metered, remaining: nextRemaining ?? remaining + held, nextRemaining: null, leases: [] }
}

/** True where uses are to be leased: they are counted down, or held against a window of the key's own. */
export const isMetered = ({ rateLimitEnabled, remaining, rateLimitMax }: WhatMeters): boolean =>
  remaining !== null || (rateLimitEnabled && rateLimitMax !== null)

type WhatMeters = Pick<Metering, 'rateLimitEnabled' | 'remaining' | 'rateLimitMax'>

const PAIRS = [
  ['refillAmount', 'refill_amount', 'refillInterval', 'refill_interval'],
  ['rateLimitTimeWindow', 'rate_limit_time_window', 'rateLimitMax', 'rate_limit_max'],
] as const

/** The same, but that what is refilled begins full; refuses half of a pair. */
export function wholeMetering<M extends Metering>(metering: M): M {
  const faults = PAIRS.flatMap(([one, oneName, other, otherName]) => {
    if ((metering[one] === null) === (metering[other] === null)) return []
    const [field, missing] = metering[one] === null ? [otherName, oneName] : [oneName, otherName]
    return [{ field, message: `must not be set without ${missing}` }]
  })
  if (faults.length > 0) throw invalidFields(faults)
  const { remaining, refillAmount } = metering
  return remaining === null && refillAmount !== null ? { ...metering, remaining: refillAmount } : metering
}

/** How the uses of a new key are counted: what is left out holds nothing back but its owner's limits. */
export function newMetering(given: Given, now: Date): Metering & Pick<Metered, 'refillFrom'> {
  const refillInterval = given.refillInterval ?? null
  return wholeMetering({
    rateLimitEnabled: given.rateLimitEnabled ?? true,
    remaining: given.remaining ?? null,
    refillAmount: given.refillAmount ?? null,
    refillInterval,
    refillFrom: refillInterval === null ? null : now,
    rateLimitTimeWindow: given.rateLimitTimeWindow ?? null,
    rateLimitMax: given.rateLimitMax ?? null,
  })
}

type Given = { [Name in keyof Metering]?: Metering[Name] | undefined }

/** From when refills are counted once they are chosen anew: where their interval changes, from now. */
export function refillFrom(before: Metered, { refillInterval }: Metering, now: Date): Date | null {
  if (refillInterval === null) return null
  return refillInterval === before.refillInterval ? before.refillFrom : now
}
