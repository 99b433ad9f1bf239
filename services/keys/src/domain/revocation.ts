import { Refusal } from '@instatunnel/kit/refusal'
import type { Key } from './key.ts'

const HOUR_MS = 60 * 60 * 1000
const RESTORABLE_MS = 24 * HOUR_MS
const VISIBLE_MS = 30 * 24 * HOUR_MS

type Revocable = Pick<Key, 'revokedAt' | 'revokedReason' | 'sessionId'>

/** Keys that were revoked no later are visible no longer, and purged. */
export const visibleSince = (now: Date) => new Date(now.getTime() - VISIBLE_MS)

/** True for a key that is not revoked, or was not so long ago that it cannot be seen any more. */
export const isVisible = ({ revokedAt }: Revocable, now: Date): boolean =>
  revokedAt === null || revokedAt > visibleSince(now)

/** Until when a revoked key may be restored; undefined where it may not. */
export function restorableUntil(key: Revocable, now: Date): Date | undefined {
  if (!key.revokedAt || key.sessionId !== null || isLeaked(key.revokedReason)) return undefined
  const until = new Date(key.revokedAt.getTime() + RESTORABLE_MS)
  return until > now ? until : undefined
}

/** Refuses to restore a key that cannot be. */
export function refuseUnrestorable(key: Revocable, now: Date): void {
  if (!key.revokedAt) throw new Refusal('KEY_NOT_REVOKED', 'This API key is not revoked')
  if (restorableUntil(key, now)) return
  throw new Refusal('KEY_NOT_RESTORABLE', whyNot(key))
}

function whyNot(key: Revocable): string {
  if (key.sessionId !== null) return 'This key belonged to a session; log in for another'
  if (isLeaked(key.revokedReason)) return 'This API key was revoked because it leaked; make another one'
  return 'This API key was revoked more than 24 hours ago; make another one'
}

/** True for the reason of a key that leaked, however it is written: it must not come back by a capital letter. */
export const isLeaked = (reason: string | null) => reason?.trim().toLowerCase() === 'leaked'
