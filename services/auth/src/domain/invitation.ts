import { createHmac, hkdfSync } from 'node:crypto'
import { newId, type Random } from '@instatunnel/kit/id'
import { randomAlphanumeric } from '@instatunnel/kit/secret'
import type { Account } from './account.ts'

/** What every invitation's id begins with. */
export const INVITATION_ID = 'inv_'

// A weekend, and then some.
const INVITATION_SECONDS = 72 * 60 * 60
const SECRET_LENGTH = 32

/** An invitation to make an account: never with its token. */
export interface Invitation extends Pick<Account, 'email' | 'plan' | 'role'> {
  readonly id: string
  /** The id of the account that made it. */
  readonly invitedBy: string
  readonly createdAt: Date
  readonly expiresAt: Date
}

/** An invitation that is made now. */
export const newInvitation = (
  of: Pick<Invitation, 'email' | 'plan' | 'role' | 'invitedBy'>,
  now: Date,
  random?: Random,
): Invitation => ({
  id: newId(INVITATION_ID, now, random),
  email: of.email,
  plan: of.plan,
  role: of.role,
  invitedBy: of.invitedBy,
  createdAt: now,
  expiresAt: new Date(now.getTime() + INVITATION_SECONDS * 1000),
})

/** A token to accept an invitation with: 190 random bits. */
export const newInvitationToken = (random: Random) => `iti_${randomAlphanumeric(SECRET_LENGTH, random)}`

/** The link to the page that accepts it. Browsers send a URL's fragment to no server, so no log has the token (RFC 3986, 3.5). */
export function invitationUrl(token: string, publicUrl: string): string {
  const url = new URL('/invite', publicUrl)
  url.hash = token
  return url.href
}

/** True for a text in the form of such a token. */
export const isInvitationToken = (text: string) => /^iti_[0-9A-Za-z]{32}$/.test(text)

/** What is kept of an invitation's token: an HMAC-SHA-256, under a key that is made of auth's secret (RFC 5869). */
export function createInvitationHash(secret: Buffer): (token: string) => Buffer {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'instatunnel invitations', 32))
  return (token) => createHmac('sha256', key).update(token).digest()
}
