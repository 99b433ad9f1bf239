import type { GoawayReason } from '@instatunnel/kit/goaway'
import type { PresentedCredential } from '@instatunnel/kit/identity'
import { createNetworks } from '@instatunnel/kit/network'
import type { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { KeptIdentity, Standing, UserHolder } from './holder.ts'
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
  const { permissions, allowedIps } = record
  const scopes = scopesWithin(permissions, owner.role)
  const networks = allowedIps.length === 0 ? undefined : createNetworks(allowedIps)
  return { record, owner, scopes, networks, holder: new KeyHolder(record, owner, scopes) }
}

/** Whoever holds a key. A hundred thousand are remembered: what can be told from the record is, when it is asked for. */
class KeyHolder implements UserHolder {
  readonly kind = 'user'
  readonly user: KeyOwner
  readonly scopes: ReadonlySet<string>
  readonly #record: KeyRecord
  identity: KeptIdentity | undefined

  constructor(record: KeyRecord, owner: KeyOwner, scopes: ReadonlySet<string>) {
    this.user = owner
    this.scopes = scopes
    this.#record = record
    this.identity = undefined
  }

  get credential(): PresentedCredential {
    return credentialOf(this.#record)
  }

  get secretGeneration(): number {
    return this.#record.secretGeneration
  }

  get endsAt(): Date | undefined {
    return endOf(this.#record, this.user)?.endsAt
  }

  get endsAs(): GoawayReason | undefined {
    return endOf(this.#record, this.user)?.endsAs
  }
}

function credentialOf(record: KeyRecord): PresentedCredential {
  const { id, masked, sessionId, allowedIps, allowedSubdomains, isMetered } = record
  // An old secret is to make nothing that outlives it.
  const end = earlier(record.expiresAt, record.sunsetAt)
  return {
    type: 'api_key',
    id,
    masked,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(end === undefined ? {} : { expiresAt: Math.floor(end.getTime() / 1000) }),
    ...(allowedSubdomains.length === 0 ? {} : { subdomains: allowedSubdomains }),
    ...(allowedIps.length === 0 ? {} : { networks: allowedIps }),
    ...(isMetered && { counted: true as const }),
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
function endOf({ expiresAt, sunsetAt }: KeyRecord, owner: KeyOwner): End | undefined {
  let end: End | undefined
  const endsWith = (endsAt: Date | undefined, endsAs: GoawayReason) => {
    if (endsAt && (!end || endsAt < end.endsAt)) end = { endsAt, endsAs }
  }
  endsWith(owner.expiresAt, 'session_expired')
  endsWith(expiresAt, 'key_expired')
  endsWith(sunsetAt, 'key_rotated')
  return end
}

interface End {
  readonly endsAt: Date
  readonly endsAs: GoawayReason
}

const earlier = (one: Date | undefined, other: Date | undefined): Date | undefined =>
  one && other ? (one < other ? one : other) : (one ?? other)
