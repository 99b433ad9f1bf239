import type { Page } from '@instatunnel/kit/page'
import type { ISql } from '@instatunnel/kit/postgres'
import { emailKey } from '../domain/account.ts'
import type { Invitation } from '../domain/invitation.ts'

const COLUMNS = ['id', 'email', 'plan', 'role', 'invited_by', 'created_at', 'expires_at'] as const

/** Inserts an invitation with what is kept of its token; violates invitations_email_key_key where the e-mail has one. */
export async function insertInvitation(tx: ISql, invitation: Invitation, hash: Buffer): Promise<void> {
  const { id, email, plan, role, invitedBy, createdAt, expiresAt } = invitation
  await tx`
    insert into invitations (id, email, email_key, plan, role, hash, invited_by, created_at, expires_at)
    values (${id}, ${email}, ${emailKey(email)}, ${plan}, ${role}, ${hash}, ${invitedBy}, ${createdAt}, ${expiresAt})`
}

/** Keeps others from inviting this e-mail until the transaction ends; then takes away the invitation that it has. */
export async function replaceInvitation(tx: ISql, email: string): Promise<Invitation | undefined> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`invitation of ${emailKey(email)}`}, 0))`
  const [invitation] = await tx<Invitation[]>`
    delete from invitations where email_key = ${emailKey(email)} returning ${tx(COLUMNS)}`
  return invitation
}

/** Forgets invitations whose time is over, a hundred at most: the next ones go with the next invitation. */
export const deleteExpiredInvitations = (tx: ISql) => tx`
  delete from invitations where id in (
    select id from invitations where expires_at <= now() limit 100 for update skip locked)`

/** A page of the invitations that can be accepted and one more, newest first. */
export const listInvitations = (sql: ISql, page: Page, now: Date): Promise<Invitation[]> => sql<Invitation[]>`
  select ${sql(COLUMNS)} from invitations
  where expires_at > ${now} and ${page.before === undefined ? sql`true` : sql`id < ${page.before}`}
  order by id desc limit ${page.size + 1}`

/** Takes away an invitation that could be accepted and returns it; undefined where there is none. */
export async function deleteInvitation(tx: ISql, id: string, now: Date): Promise<Invitation | undefined> {
  const [invitation] = await tx<Invitation[]>`
    delete from invitations where id = ${id} and expires_at > ${now} returning ${tx(COLUMNS)}`
  return invitation
}

/** Takes away the invitations that an account made, and returns them. */
export const deleteInvitationsOf = (tx: ISql, userId: string): Promise<Invitation[]> =>
  tx<Invitation[]>`delete from invitations where invited_by = ${userId} returning ${tx(COLUMNS)}`

/** The token that is presented, as it is kept, and with which e-mail. */
export interface PresentedInvitation {
  readonly hash: Buffer
  readonly email: string
}

/** The invitation that is presented, where it is good now: for this e-mail, and while its maker is an active admin. */
export async function findInvitation(
  sql: ISql,
  { hash, email }: PresentedInvitation,
  now: Date,
): Promise<Invitation | undefined> {
  const [invitation] = await sql<Invitation[]>`
    select ${sql(COLUMNS.map((column) => `invitations.${column}`))}
    from invitations join users on users.id = invited_by and users.role = 'admin' and users.status = 'active'
    where hash = ${hash} and invitations.email_key = ${emailKey(email)} and expires_at > ${now}`
  return invitation
}

/** As findInvitation, and takes it away: of all who present it at once, one gets it. */
export async function takeInvitation(
  tx: ISql,
  presented: PresentedInvitation,
  now: Date,
): Promise<Invitation | undefined> {
  const found = await findInvitation(tx, presented, now)
  return found && deleteInvitation(tx, found.id, now)
}
