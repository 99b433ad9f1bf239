import { scopeMissing } from '@instatunnel/kit/guard'
import type { Identity } from '@instatunnel/kit/identity'
import { Refusal } from '@instatunnel/kit/refusal'
import { expandScopes, missingScope, type Role, scopesOfRole } from '@instatunnel/kit/scope'
import { type Bounds, boundsFault } from '../domain/bounds.ts'
import type { Asker } from '../domain/key.ts'
import { unheldScope } from '../domain/permission.ts'

/** Refuses to make or change a key that may do what the caller may not. */
export function refuseUnheld(caller: Asker, permissions: readonly string[]): void {
  const unheld = unheldScope(caller, permissions)
  if (unheld !== undefined) throw scopeMissing(unheld)
}

/** Refuses to make or change a key that is held to less than the credential of the caller. */
export function refuseUnbound({ credential }: Identity, key: Bounds): void {
  const fault = boundsFault(key, credential)
  if (fault !== undefined) throw new Refusal('KEY_BOUNDED', fault)
}

/** Refuses to make a key that may do what the user whose it is to be may not. */
export function refuseUnheldByOwner(role: Role, permissions: readonly string[]): void {
  const unheld = missingScope(expandScopes(permissions), new Set(scopesOfRole(role)))
  if (unheld === undefined) return
  const message = 'The user with this user_id lacks a permission that is asked for'
  throw new Refusal('OWNER_SCOPE_MISSING', message, { requiredScope: unheld })
}
