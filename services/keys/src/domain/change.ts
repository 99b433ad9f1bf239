import { isDeepStrictEqual } from 'node:util'
import type { Key } from './key.ts'

/** What people choose about a key and may choose anew, by the names on the wire. */
export const CHOICES = ['name', 'permissions', 'enabled', 'metadata', 'expires_in'] as const

/** One choice. */
export type Choice = (typeof CHOICES)[number]

/** What an update may set. */
export type Chosen = Pick<Key, 'name' | 'permissions' | 'enabled' | 'metadata' | 'expiresAt'>

/** The names, as an ApiKey has them, of what differs between two states of a key. */
export function changedFields(before: Chosen, after: Chosen): string[] {
  const differs = {
    name: before.name !== after.name,
    permissions: !isDeepStrictEqual(before.permissions, after.permissions),
    enabled: before.enabled !== after.enabled,
    metadata: !isDeepStrictEqual(before.metadata, after.metadata),
    expires_at: before.expiresAt?.getTime() !== after.expiresAt?.getTime(),
  }
  return Object.entries(differs).flatMap(([field, isDifferent]) => (isDifferent ? [field] : []))
}

/** When a key that is good for so many seconds from now expires. */
export const expiryOf = (seconds: number | undefined, now: Date): Date | null =>
  seconds === undefined ? null : new Date(now.getTime() + seconds * 1000)
