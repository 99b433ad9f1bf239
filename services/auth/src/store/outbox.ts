import { appendEvent } from '@instatunnel/kit/event'
import { newId } from '@instatunnel/kit/id'
import type { ISql } from '@instatunnel/kit/postgres'
import {
  SessionRevoked,
  UserInvitationRevoked,
  UserInvited,
  UserLoggedIn,
  UserLoginFailed,
  UserRegistered,
  UserUpdated,
} from '@instatunnel/proto/events/v1/events'
import type { Account } from '../domain/account.ts'
import type { Invitation } from '../domain/invitation.ts'
import type { EndReason, Session } from '../domain/session.ts'

/** Tells that an account was made. */
export const tellRegistered = (tx: ISql, user: Account, now: Date, invitationId?: string) =>
  tell(tx, 'user.registered', user.id, now, UserRegistered.toJSON({ ...user, userId: user.id, invitationId }))

/** Appends a user.invited event to the outbox. */
export const appendInvited = (tx: ISql, invitation: Invitation, now: Date) =>
  tell(
    tx,
    'user.invited',
    invitation.id,
    now,
    UserInvited.toJSON({ ...invitation, invitationId: invitation.id }),
  )

/** Appends a user.invitation_revoked event to the outbox. */
export const appendInvitationRevoked = (tx: ISql, { id, email }: Invitation, now: Date) =>
  tell(tx, 'user.invitation_revoked', id, now, UserInvitationRevoked.toJSON({ invitationId: id, email }))

/** Tells that an account was changed. */
export const tellUpdated = (tx: ISql, user: Account, changed: string[], now: Date) =>
  tell(tx, 'user.updated', user.id, now, UserUpdated.toJSON({ ...user, userId: user.id, changed }))

/** Tells that somebody logged in. */
export const tellLoggedIn = (tx: ISql, { id, userId, address }: Session, now: Date) =>
  tell(tx, 'user.logged_in', userId, now, UserLoggedIn.toJSON({ userId, sessionId: id, address }))

/** Tells that a login failed. */
export const tellLoginFailed = (tx: ISql, failed: UserLoginFailed, now: Date) =>
  tell(tx, 'user.login_failed', failed.email, now, UserLoginFailed.toJSON(failed))

/** Tells that sessions were ended. */
export async function tellRevoked(
  tx: ISql,
  sessions: readonly { id: string }[],
  of: { userId: string; reason: EndReason },
  now: Date,
): Promise<void> {
  for (const { id } of sessions) {
    await tell(tx, 'session.revoked', id, now, SessionRevoked.toJSON({ sessionId: id, ...of }))
  }
}

const tell = (tx: ISql, type: string, subject: string, now: Date, data: unknown) =>
  appendEvent(tx, { id: newId('evt_', now), type, subject, time: now, data: data as object })
