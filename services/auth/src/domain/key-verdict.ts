import { missingScope, type Role, scopesOfRole } from '@instatunnel/kit/scope'

/** What is said of a key; the codes are checked in this order. */
export type KeyCode = 'NOT_FOUND' | 'DISABLED' | 'EXPIRED' | 'INSUFFICIENT_PERMISSIONS' | 'VALID'

/** What a decision knows of a key. */
export interface KeyFacts {
  readonly permissions: readonly string[]
  readonly enabled: boolean
  readonly expiresAt: Date | undefined
}

/**
 * The one verdict on a key, for every call that it is presented with and for VerifyKey. `scopes` is what the key may
 * do now: its permissions, cut to what its owner has; `missing` is the first scope asked for that is not among them.
 */
export function judgeKey(
  key: KeyFacts,
  owner: { readonly role: Role },
  asked: readonly string[],
  now: Date,
): { code: KeyCode; scopes: ReadonlySet<string>; missing?: string } {
  const ownerHas = new Set<string>(scopesOfRole(owner.role))
  const scopes = new Set(key.permissions.filter((scope) => ownerHas.has(scope)))
  if (!key.enabled) return { code: 'DISABLED', scopes }
  if (key.expiresAt && key.expiresAt <= now) return { code: 'EXPIRED', scopes }
  const missing = missingScope(asked, scopes)
  if (missing !== undefined) return { code: 'INSUFFICIENT_PERMISSIONS', scopes, missing }
  return { code: 'VALID', scopes }
}
