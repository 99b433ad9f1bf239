import { missingScope } from '@instatunnel/kit/scope'
import type { KnownKey } from './known-key.ts'

/** What is said of a key; the codes are checked in this order. */
export type KeyCode =
  | 'NOT_FOUND'
  | 'DISABLED'
  | 'EXPIRED'
  | 'FORBIDDEN_IP'
  | 'INSUFFICIENT_PERMISSIONS'
  | 'RATE_LIMITED'
  | 'USAGE_EXCEEDED'
  | 'VALID'

/** What is said of a key before its uses are looked at. */
export type KeyVerdict = Exclude<KeyCode, 'RATE_LIMITED' | 'USAGE_EXCEEDED'>

/**
 * The one verdict on a key, for every call that it is presented with and for VerifyKey: whether it may be used now, for
 * these scopes and from this address, which is undefined or empty where none is known. It spends nothing.
 */
export function judgeKey(
  key: KnownKey,
  asked: readonly string[],
  address: string | undefined,
  now: Date,
): KeyVerdict {
  const end = endOf(key, now)
  if (end !== undefined) return end
  if (!isAdmittedFrom(key, address)) return 'FORBIDDEN_IP'
  if (missingScope(asked, key.scopes) !== undefined) return 'INSUFFICIENT_PERMISSIONS'
  return 'VALID'
}

/** What has ended the key by now, whatever it is used for; undefined where nothing has. */
export function endOf(key: KnownKey, now: Date): 'NOT_FOUND' | 'DISABLED' | 'EXPIRED' | undefined {
  if (isOver(key, now)) return 'NOT_FOUND'
  if (!key.record.enabled || isSuspended(key)) return 'DISABLED'
  return isExpired(key, now) ? 'EXPIRED' : undefined
}

/** True once the session that the key belongs to is over, or the old secret that it was found by; to the moment. */
export const isOver = ({ record: { sunsetAt }, owner }: KnownKey, now: Date): boolean =>
  (sunsetAt !== undefined && sunsetAt <= now) || (owner.expiresAt !== undefined && owner.expiresAt <= now)

/** True for a key whose owner's account is suspended: it works again when that is over. */
export const isSuspended = ({ owner }: KnownKey): boolean => owner.status === 'suspended'

/** True from the very moment on that the key expires at. */
export const isExpired = ({ record: { expiresAt } }: KnownKey, now: Date): boolean =>
  expiresAt !== undefined && expiresAt <= now

/** True for an address that the key may be used from; one that is restricted is not from where none is known. */
export const isAdmittedFrom = ({ networks }: KnownKey, address: string | undefined): boolean =>
  networks === undefined || (address !== undefined && networks.includes(address))
