import { newId, type Random } from '@instatunnel/kit/id'
import type { Account } from './account.ts'

/** How long a session lasts. */
export const SESSION_SECONDS = 7 * 24 * 60 * 60

/** How many live sessions a user may have; a login past it ends the oldest. */
export const MAX_SESSIONS = 50

/** A session that somebody logged in with. */
export interface Session {
  readonly id: string
  readonly userId: string
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly userAgent: string
  readonly address: string
}

/** Why a session was ended. */
export type EndReason = 'logout' | 'revoked' | 'password_changed' | 'suspended' | 'too_many' | 'key_failed'

/** A session that begins now. */
export const newSession = (
  of: { userId: string; userAgent: string; address: string },
  now: Date,
  random?: Random,
): Session => ({
  id: newId('ses_', now, random),
  userId: of.userId,
  createdAt: now,
  expiresAt: new Date(now.getTime() + SESSION_SECONDS * 1000),
  userAgent: of.userAgent.slice(0, 200),
  address: of.address,
})

/** What a verdict on a session depends on. */
type Judgeable = Pick<Account, 'status'> & { readonly expiresAt: Date; readonly endedAt: Date | null }

/** True for a session that nobody ended, of an active account; its time may be over. */
export const isOpen = ({ status, endedAt }: Pick<Judgeable, 'status' | 'endedAt'>): boolean =>
  status !== 'suspended' && endedAt === null

/**
 * The session, where it lives and its user's account is active; otherwise how it ended. One that is not there had expired
 * and is forgotten.
 */
export function judgeSession<S extends Judgeable>(
  session: S | undefined,
  now: Date,
): S | 'account_suspended' | 'session_ended' | 'session_expired' {
  if (session?.status === 'suspended') return 'account_suspended'
  if (session?.endedAt) return 'session_ended'
  return session && session.expiresAt > now ? session : 'session_expired'
}
