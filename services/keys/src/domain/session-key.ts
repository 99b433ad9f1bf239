import { Refusal } from '@instatunnel/kit/refusal'
import type { Key } from './key.ts'

/** How a session's key is listed. */
export const SESSION_KEY_NAME = 'Session key'

/** True for what can be a session's id; auth makes them. */
export const isSessionId = (text: string) => /^[A-Za-z0-9_-]{1,100}$/.test(text)

/** Refuses to change a key that belongs to a session. */
export function refuseSessionKey(key: Key): void {
  if (key.sessionId === null) return
  throw new Refusal('SESSION_KEY', 'This key belongs to a session and changes with it only')
}

/** Refuses a secret for a session's key that is revoked, or that is not this user's. */
export function refuseUnrenewable(key: Key, userId: string): void {
  if (key.revokedAt) throw sessionKeyRevoked()
  if (key.userId !== userId) throw new Refusal('SESSION_KEY', 'This session is of another user')
}

/** The refusal of a key for a session that is over, or whose key is. */
export const sessionKeyRevoked = () =>
  new Refusal('SESSION_KEY_REVOKED', "This session's key was revoked; it gets no other")
