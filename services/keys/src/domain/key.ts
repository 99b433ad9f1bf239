import { isId } from '@instatunnel/kit/id'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Scope } from '@instatunnel/kit/scope'
import type { Metered } from './metering.ts'
import type { OldSecret } from './old-secret.ts'
import { isVisible } from './revocation.ts'

/** What every key's id begins with. */
export const KEY_ID = 'key_'

/** A key as it is kept: never with its secret. */
export interface Key extends Metered, OldSecret {
  readonly id: string
  readonly userId: string
  /** The session that the key ends with; null where it belongs to none. */
  readonly sessionId: string | null
  readonly name: string
  /** What the secret begins with. */
  readonly prefix: string
  /** The secret's first characters. */
  readonly start: string
  /** The secret, masked. */
  readonly masked: string
  /** Scopes and patterns of them, sorted, each once; as they were asked for. */
  readonly permissions: readonly string[]
  readonly enabled: boolean
  /** A JSON object of the owner's. */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Null where the key never expires. */
  readonly expiresAt: Date | null
  /** Null where the key is not revoked. */
  readonly revokedAt: Date | null
  /** Null where none was said. */
  readonly revokedReason: string | null
  /** The networks that it may be used from, in CIDR notation; empty where from everywhere. */
  readonly allowedIps: readonly string[]
  /** Patterns of subdomains; empty where all. */
  readonly allowedSubdomains: readonly string[]
  /** How many secrets the key had before the one it has. */
  readonly rotations: number
  /** How many calls the key has admitted. */
  readonly requestCount: number
  /** When it last admitted one; null where it never did. */
  readonly lastRequest: Date | null
}

/** Who asks: what a decision needs of an identity. */
export interface Asker {
  readonly userId: string
  readonly scopes: ReadonlySet<string>
}

/** What lets an asker at the keys of others: to read them, or to change them. */
type AdminScope = Extract<Scope, 'admin:read' | 'admin:write'>

/** The id in a request; what is no id of ours names no key. */
export function keyIdFrom(text: string): string {
  if (!isId(text, KEY_ID)) throw keyNotFound()
  return text
}

/**
 * True for a key of the asker's own, and for anyone's where the asker holds the admin scope. A revoked key is as one
 * that never was.
 */
export const isAvailableTo = (asker: Asker, adminScope: AdminScope, key: Key | undefined): key is Key =>
  key !== undefined && !key.revokedAt && isWithinReach(asker, adminScope, key)

/** The key, where it is available to the asker; it is not to be found otherwise. */
export function availableTo(asker: Asker, adminScope: AdminScope, key: Key | undefined): Key {
  if (isAvailableTo(asker, adminScope, key)) return key
  throw keyNotFound()
}

/** As availableTo, but that a revoked key is there for as long as it may be seen. */
export function visibleTo(asker: Asker, adminScope: AdminScope, key: Key | undefined, now: Date): Key {
  if (key && isVisible(key, now) && isWithinReach(asker, adminScope, key)) return key
  throw keyNotFound()
}

const isWithinReach = (asker: Asker, adminScope: AdminScope, key: Key) =>
  key.userId === asker.userId || asker.scopes.has(adminScope)

/** The refusal of a call that names no key. */
export const keyNotFound = () => new Refusal('KEY_NOT_FOUND', 'API key not found')
