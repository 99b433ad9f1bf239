import { expandScope, expandScopes, missingScope, type Role, scopesOfRole } from '@instatunnel/kit/scope'
import type { Asker, Key } from './key.ts'

/** So many permissions may be asked for at once: twice the scopes there are. */
export const PERMISSIONS_MAX = 32

/** True for a scope, and for a pattern that matches at least one. */
export const isPermission = (text: string) => expandScope(text).length > 0

/** Permissions as they are kept: sorted, each once. */
export const tidied = (permissions: readonly string[]): string[] => [...new Set(permissions)].sort()

/** The first scope of these permissions that the asker lacks; undefined where the asker holds them all. */
export const unheldScope = (asker: Asker, permissions: readonly string[]): string | undefined =>
  missingScope(expandScopes(permissions), asker.scopes)

/**
 * All that the owner of a key may do, as a caller can know it: of another's role nothing is known here, so it is
 * what every user may do, and never more than the owner has.
 */
export const allOfOwner = (
  key: Pick<Key, 'userId'>,
  caller: { userId: string; role: Role },
): readonly string[] => scopesOfRole(key.userId === caller.userId ? caller.role : 'user')

/**
 * What a key can still do, as a caller can know it: what its owner has lost does not count. So one who is no admin
 * any more can revoke the keys of an admin's time.
 */
export const inForce = (key: Pick<Key, 'userId' | 'permissions'>, caller: { userId: string; role: Role }) => {
  const ownerHas = new Set<string>(allOfOwner(key, caller))
  return expandScopes(key.permissions).filter((scope) => ownerHas.has(scope))
}
