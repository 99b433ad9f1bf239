import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { UsesLeft } from './key-use.ts'
import { isAdmittedFrom, isExpired, isOver, isSuspended } from './key-verdict.ts'
import type { KnownKey } from './known-key.ts'
import type { Taken } from './sliding-window.ts'

/** One check that a request meets, as people are told of it. */
export interface Check {
  readonly name:
    | 'route'
    | 'key'
    | 'enabled'
    | 'expiry'
    | 'allowed_ips'
    | 'scope'
    | 'rate_limit'
    | 'key_rate_limit'
    | 'remaining'
  readonly passed: boolean
  readonly message: string
}

/** Whether there is such a key, for as long as its session lives; or what ended it. */
export function explainKnown(key: KnownKey | GoawayReason, now: Date): Check {
  const isThere = typeof key === 'object' && !isOver(key, now)
  const message = isThere ? 'The key is known' : 'The session that the key belongs to has ended'
  return { name: 'key', passed: isThere, message }
}

/** Whether the key is switched on, and the account that it belongs to is active. */
export function explainEnabled(key: KnownKey): Check {
  if (isSuspended(key)) return { name: 'enabled', passed: false, message: "The key's account is suspended" }
  const { enabled } = key.record
  return { name: 'enabled', passed: enabled, message: `The key is ${enabled ? 'enabled' : 'disabled'}` }
}

/** Whether the key has expired. */
export function explainExpiry(key: KnownKey, now: Date): Check {
  const { expiresAt } = key.record
  const expired = isExpired(key, now)
  const at = `${expired ? 'expired' : 'expires'} at ${expiresAt?.toISOString()}`
  return { name: 'expiry', passed: !expired, message: `The key ${expiresAt ? at : 'never expires'}` }
}

/** Whether the address may use the key; where none is told, what it would be held against. */
export function explainAddress(key: KnownKey, address: string | undefined): Check {
  const { allowedIps } = key.record
  if (allowedIps.length === 0)
    return { name: 'allowed_ips', passed: true, message: 'The key may be used from everywhere' }
  const networks = allowedIps.join(', ')
  if (address === undefined) {
    return {
      name: 'allowed_ips',
      passed: true,
      message: `No address was told; the key may be used from ${networks} only`,
    }
  }
  const passed = isAdmittedFrom(key, address)
  const where = passed ? `is in ${networks}` : `is not in ${networks}`
  return { name: 'allowed_ips', passed, message: `The address ${address} ${where}` }
}

/** Whether the key holds the scope; "any" is held by all. */
export function explainScope({ record: { permissions }, scopes }: KnownKey, scope: string): Check {
  if (scope === 'any') return { name: 'scope', passed: true, message: 'Any key may call this' }
  if (scopes.has(scope)) return { name: 'scope', passed: true, message: `The key holds ${scope}` }
  // Cut away, as the owner no longer holds it.
  const who = permissions.includes(scope) ? "The key's owner" : 'The key'
  return { name: 'scope', passed: false, message: `${who} lacks ${scope}` }
}

/** Whether the general limit, of so many calls of a kind, admits one more. */
export const explainRate = ({ admitted, limit, remaining, resetSeconds }: Taken, of: string): Check => ({
  name: 'rate_limit',
  passed: admitted,
  message: admitted
    ? `${remaining} of ${limit} ${of} a minute are left`
    : `None of ${limit} ${of} a minute is left; try again in ${resetSeconds} s`,
})

/** That no general limit holds calls with the key back. */
export const unlimited: Check = {
  name: 'rate_limit',
  passed: true,
  message: "The key is not held to its owner's limits",
}

/** That calls are limited per client address, and no more: what is left to an address is not the caller's to know. */
export const untoldOfAddress: Check = {
  name: 'rate_limit',
  passed: true,
  message: 'Calls are limited per client address; how many are left to one is not told',
}

/** That connects are limited per tunnel, and no more: the key does not find this tunnel, whether it exists or not. */
export const untoldOfTunnel: Check = {
  name: 'rate_limit',
  passed: true,
  message: 'Connects are limited per tunnel; how many are left is told of tunnels that the key may connect',
}

/** Whether the key's own window admits one more. */
export function explainOwnWindow({ record }: KnownKey, left: UsesLeft): Check {
  const { rateLimitEnabled, rateLimitMax: max, rateLimitTimeWindow: span = 0 } = record
  const of = `${max === undefined ? '' : ` of ${max}`} calls in ${spanOf(span)}`
  const { windowRemaining } = left
  if (!rateLimitEnabled || windowRemaining === undefined)
    return { name: 'key_rate_limit', passed: true, message: 'No rate limit of its own holds the key back' }
  return windowRemaining > 0
    ? { name: 'key_rate_limit', passed: true, message: `${windowRemaining}${of} are left to the key` }
    : { name: 'key_rate_limit', passed: false, message: `None${of} is left to the key${again(left)}` }
}

/** Whether a use of the key remains. */
export function explainRemaining(left: UsesLeft): Check {
  const { remaining } = left
  if (remaining === undefined)
    return { name: 'remaining', passed: true, message: "The key's uses are not counted down" }
  // A window of its own that is used up is what holds it back until then, and no refill.
  const when = left.windowRemaining !== undefined && left.windowRemaining <= 0 ? '' : again(left)
  if (remaining <= 0) return { name: 'remaining', passed: false, message: `No use remains${when}` }
  const remain = remaining === 1 ? 'use remains' : 'uses remain'
  return { name: 'remaining', passed: true, message: `${remaining} ${remain}` }
}

const again = ({ retryAfterSeconds }: UsesLeft) =>
  retryAfterSeconds === undefined ? '' : `; try again in ${retryAfterSeconds} s`

const spanOf = (ms: number) => (ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`)
