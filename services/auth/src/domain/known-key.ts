import type { GoawayReason } from '@instatunnel/kit/goaway'
import { createNetworks } from '@instatunnel/kit/network'
import type { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { Standing, UserHolder } from './holder.ts'
import { scopesWithin } from './sharing.ts'

/** Whom a key belongs to: its user, as the session that it ends with has them where it belongs to one. */
export type KeyOwner = Standing & { readonly expiresAt?: Date }

/** A key with all that a decision needs to know of it, made once and used for every call. */
export interface KnownKey {
  readonly record: KeyRecord
  readonly owner: KeyOwner
  /** What it may do now: its permissions, cut to what its owner has. */
  readonly scopes: ReadonlySet<string>
  /** Where it may be used from; undefined where everywhere. */
  readonly networks: { includes(address: string): boolean } | undefined
  /** Who holds it. */
  readonly holder: UserHolder
}

/** Makes of a key and its owner what decisions are made by. */
export function knownKeyOf(record: KeyRecord, owner: KeyOwner): KnownKey {
  const { id, masked, sessionId, expiresAt, permissions, allowedIps, allowedSubdomains, isMetered } = record
  const { secretGeneration } = record
  const scopes = scopesWithin(permissions, owner.role)
  // An old secret is to make nothing that outlives it.
  const end = earlier(expiresAt, record.sunsetAt)
  const credential = {
    type: 'api_key' as const,
    id,
    masked,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(end === undefined ? {} : { expiresAt: Math.floor(end.getTime() / 1000) }),
    ...(allowedSubdomains.length === 0 ? {} : { subdomains: allowedSubdomains }),
    ...(allowedIps.length === 0 ? {} : { networks: allowedIps }),
    ...(isMetered && { counted: true as const }),
  }
  return {
    record,
    owner,
    scopes,
    networks: allowedIps.length === 0 ? undefined : createNetworks(allowedIps),
    holder: { kind: 'user', user: owner, scopes, credential, secretGeneration, ...endOf(record, owner) },
  }
}

/**
 * A key that was found by its id, as it is by the secret of this generation: the one it has, or the one before while its
 * grace period lasts; undefined for every other.
 */
export function keyBySecret(key: KnownKey, secretGeneration: number, now: Date): KnownKey | undefined {
  const { secretGeneration: current, oldSecretEndsAt: sunsetAt } = key.record
  if (secretGeneration === current) return key
  if (secretGeneration !== current - 1 || sunsetAt === undefined || sunsetAt <= now) return undefined
  return knownKeyOf({ ...key.record, secretGeneration, sunsetAt }, key.owner)
}

/** What ends a key by itself, and when: the first that does. */
function endOf({ expiresAt, sunsetAt }: KeyRecord, owner: KeyOwner): Pick<UserHolder, 'endsAt' | 'endsAs'> {
  let end: { endsAt: Date; endsAs: GoawayReason } | undefined
  const endsWith = (endsAt: Date | undefined, endsAs: GoawayReason) => {
    if (endsAt && (!end || endsAt < end.endsAt)) end = { endsAt, endsAs }
  }
  endsWith(owner.expiresAt, 'session_expired')
  endsWith(expiresAt, 'key_expired')
  endsWith(sunsetAt, 'key_rotated')
  return end ?? {}
}

const earlier = (one: Date | undefined, other: Date | undefined): Date | undefined =>
  one && other ? (one < other ? one : other) : (one ?? other)
