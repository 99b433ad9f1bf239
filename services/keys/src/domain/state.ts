import type { Key } from './key.ts'

/** What a key may be; where several apply it is the last of them. */
export const STATES = ['active', 'disabled', 'expired', 'revoked'] as const

/** One state. */
export type State = (typeof STATES)[number]

/** What a key is now. */
export function stateOf({ enabled, expiresAt, revokedAt }: Key, now: Date): State {
  if (revokedAt) return 'revoked'
  if (expiresAt && expiresAt <= now) return 'expired'
  return enabled ? 'active' : 'disabled'
}
