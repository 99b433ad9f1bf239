import { randomBytes } from 'node:crypto'
import { scopeMissing } from '@instatunnel/kit/guard'
import { PLANS } from '@instatunnel/kit/plans'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  CreateInvitationRequest,
  CreateInvitationResponse,
} from '@instatunnel/proto/auth/v1/admin_service'
import { z } from 'zod'
import { emailField } from '../domain/account.ts'
import { invitationUrl, newInvitation, newInvitationToken } from '../domain/invitation.ts'
import { deleteExpiredInvitations, insertInvitation, replaceInvitation } from '../store/invitation-store.ts'
import { appendInvitationRevoked, appendInvited } from '../store/outbox.ts'
import { findUserByEmail, lockUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { emailTaken } from './email-taken.ts'
import { refuseBounded, refuseLesser } from './refuse-lesser.ts'

const request = z.object({
  email: emailField,
  plan: z.enum(PLANS, 'must be free, pro or business').default('free'),
  role: z.enum(['user', 'admin'], 'must be user or admin').default('user'),
})

/** Invites an e-mail to make an account, and shows its link and token, this once; an invitation before it is revoked. */
export const createInvitation =
  ({ sql, invitationHash, publicUrl, now }: Deps): Unary<CreateInvitationRequest, CreateInvitationResponse> =>
  async (input, call) => {
    const { email, plan, role } = validate(request, input)
    const caller = identityOf(call)
    if (role === 'admin') refuseLesser(caller)
    else refuseBounded(caller)
    if (await findUserByEmail(sql, email)) throw emailTaken('')
    const time = now()
    const token = newInvitationToken(randomBytes)
    const invitation = newInvitation({ email, plan, role, invitedBy: caller.userId }, time)
    await sql.begin(async (tx) => {
      // Under its lock: who is suspended or demoted at this moment leaves no invitation.
      const maker = await lockUser(tx, caller.userId)
      if (maker?.role !== 'admin' || maker.status !== 'active') throw scopeMissing('users:manage')
      await deleteExpiredInvitations(tx)
      const replaced = await replaceInvitation(tx, email)
      if (replaced) await appendInvitationRevoked(tx, replaced, time)
      await insertInvitation(tx, invitation, invitationHash(token))
      await appendInvited(tx, invitation, time)
    })
    return { invitation, token, url: invitationUrl(token, publicUrl) }
  }
