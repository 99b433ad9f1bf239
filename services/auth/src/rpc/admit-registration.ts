import type { ISql } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import type { RegisterRequest } from '@instatunnel/proto/auth/v1/auth_service'
import { type Invitation, isInvitationToken } from '../domain/invitation.ts'
import { refuseUninvited } from '../domain/registration.ts'
import { findInvitation, takeInvitation } from '../store/invitation-store.ts'
import type { Deps } from './deps.ts'

/**
 * Takes the invitation that a registration was admitted by, in the transaction that makes the account; undefined where
 * it needs none. Refuses where another registration has taken it.
 */
export type TakeInvitation = (tx: ISql) => Promise<Invitation | undefined>

/**
 * Refuses a registration that is neither open to the e-mail nor invited. Asked before anything is counted against the
 * e-mail, or a password hashed.
 */
export async function admitRegistration(
  { sql, passwords, registration, invitationHash, now }: Deps,
  { email, invitation: token = '' }: Pick<RegisterRequest, 'email' | 'invitation'>,
  caller: { readonly signal: AbortSignal; readonly address: string },
): Promise<TakeInvitation> {
  if (token === '') {
    refuseUninvited(registration, email)
    return async () => undefined
  }
  if (!isInvitationToken(token)) throw invitationInvalid()
  const presented = { hash: invitationHash(token), email }
  // In the lane of look-ups for passwords: a flood of made-up tokens must not take every connection to Postgres.
  const find = () => findInvitation(sql, presented, now())
  if (!(await passwords.lookUp(find, caller))) throw invitationInvalid()
  return async (tx) => {
    const invitation = await takeInvitation(tx, presented, now())
    if (!invitation) throw invitationInvalid()
    return invitation
  }
}

const invitationInvalid = () =>
  new Refusal(
    'INVITATION_INVALID',
    'This invitation is not for this e-mail, has expired, was used or revoked; ask an administrator for another',
    { fields: [{ field: 'invitation', message: 'is not good for this e-mail' }] },
  )
