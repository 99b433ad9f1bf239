import { invalidFields } from '@instatunnel/kit/refusal'

/** How a key's uses are counted. */
export interface Metering {
  /** False where neither its own window nor its owner's limits hold calls back. */
  readonly rateLimitEnabled: boolean
  /** How many more calls it admits, those leased included; null where they are not counted. */
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

/** True where uses are to be leased: they are counted down, or held against a window of the key's own. */
export const isMetered = ({ rateLimitEnabled, remaining, rateLimitMax }: Metering): boolean =>
  remaining !== null || (rateLimitEnabled && rateLimitMax !== null)

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
export const newMetering = (given: { [Name in keyof Metering]?: Metering[Name] | undefined }): Metering =>
  wholeMetering({
    rateLimitEnabled: given.rateLimitEnabled ?? true,
    remaining: given.remaining ?? null,
    refillAmount: given.refillAmount ?? null,
    refillInterval: given.refillInterval ?? null,
    rateLimitTimeWindow: given.rateLimitTimeWindow ?? null,
    rateLimitMax: given.rateLimitMax ?? null,
  })
