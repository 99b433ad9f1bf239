import { scopeMissing } from '@instatunnel/kit/guard'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Decision, Refused } from './domain/decision.ts'
import { deprecationOf } from './domain/deprecation.ts'
import type { Taken } from './domain/key-use.ts'
import type { KnownKey } from './domain/known-key.ts'

/** An answer to a call with this key: with what is to be said of its secret, where that is an old one. */
export function answeredTo<D extends Decision>(key: KnownKey | undefined, decision: D): D {
  const headers = key && deprecationOf(key)
  return headers ? { ...decision, headers } : decision
}

/** The "no" to a key that is good, and not for this call. */
export function refusedKey(
  code: 'FORBIDDEN_IP' | 'INSUFFICIENT_PERMISSIONS',
  key: KnownKey,
  scope: string,
): Refused {
  const refusal = code === 'FORBIDDEN_IP' ? addressNotAllowed() : scopeMissing(scope)
  return answeredTo(key, { refusal })
}

/** The "no" to a key of which there is no use left. */
export const unspent = (key: KnownKey, taken: Exclude<Taken, { code: 'VALID' }>): Refused =>
  answeredTo(key, {
    refusal: taken.code === 'RATE_LIMITED' ? pastOwnWindow(key, taken) : usedUp(taken),
  })

const addressNotAllowed = () =>
  new Refusal('ADDRESS_NOT_ALLOWED', 'This API key may not be used from this address')

interface Retry {
  readonly retryAfterSeconds?: number | undefined
}

function pastOwnWindow({ record: { rateLimitMax: limit } }: KnownKey, { retryAfterSeconds }: Retry): Refusal {
  const resetSeconds = retryAfterSeconds ?? 1
  const rate = limit === undefined ? {} : { rate: { limit, remaining: 0, resetSeconds } }
  return new Refusal('RATE_LIMITED', "The API key's own rate limit is exceeded", {
    retryAfterSeconds: resetSeconds,
    ...rate,
  })
}

const usedUp = ({ retryAfterSeconds }: Retry) =>
  new Refusal(
    'USAGE_EXCEEDED',
    "The API key's uses are spent",
    retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
  )
