import { PLANS } from '@instatunnel/kit/plans'
import { type Role, scopesOfRole } from '@instatunnel/kit/scope'
import type { Standing } from './holder.ts'

// Sixteen scopes make many sets, but those in use are few; past so many they are shared anew.
const MAX_SHARED = 1000

/** Permissions of a key, and what they come to for owners of each role. */
interface Shared {
  readonly permissions: string[]
  readonly scopes: Partial<Record<Role, ReadonlySet<string>>>
}

const shared = new Map<string, Shared>()

/** The same permissions in a list that all who hold them share: a hundred thousand keys hold few different ones. */
export const sharedPermissions = (permissions: readonly string[]): string[] =>
  sharedOf(permissions).permissions

/** What a key with these permissions may do now: cut to what its owner has. The set is shared by all of the kind. */
export function scopesWithin(permissions: readonly string[], role: Role): ReadonlySet<string> {
  const { scopes } = sharedOf(permissions)
  scopes[role] ??= cutTo(permissions, role)
  return scopes[role]
}

/** The same standing in the words of which there is one each, not as many as rows that they came in. */
export const sharedStanding = ({ userId, plan, role, status }: Standing): Standing => ({
  userId,
  plan: PLANS.find((one) => one === plan) ?? plan,
  role: role === 'admin' ? 'admin' : 'user',
  status: status === 'active' ? 'active' : 'suspended',
})

function cutTo(permissions: readonly string[], role: Role): ReadonlySet<string> {
  const ownerHas = new Set<string>(scopesOfRole(role))
  return new Set(permissions.filter((scope) => ownerHas.has(scope)))
}

function sharedOf(permissions: readonly string[]): Shared {
  const name = permissions.join()
  const known = shared.get(name)
  if (known) return known
  if (shared.size >= MAX_SHARED) shared.clear()
  const made = { permissions: [...permissions], scopes: {} }
  shared.set(name, made)
  return made
}
