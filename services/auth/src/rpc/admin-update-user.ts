import { isId } from '@instatunnel/kit/id'
import { PLANS } from '@instatunnel/kit/plans'
import type { ISql } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { validate } from '@instatunnel/kit/validate'
import type { AdminServiceUpdateUserRequest } from '@instatunnel/proto/auth/v1/admin_service'
import type { User } from '@instatunnel/proto/auth/v1/user'
import { z } from 'zod'
import { changeUser } from '../change-user.ts'
import { deleteInvitationsOf } from '../store/invitation-store.ts'
import { appendInvitationRevoked, tellRevoked } from '../store/outbox.ts'
import { endAllSessions } from '../store/session-store.ts'
import { lockAdmins } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { refuseLesser } from './refuse-lesser.ts'
import { userNotFound } from './user-not-found.ts'

const FIELDS = ['plan', 'role', 'status'] as const

const request = z.object({
  plan: z.enum(PLANS, 'must be free, pro or business').default('free'),
  role: z.enum(['user', 'admin'], 'must be user or admin').default('user'),
  status: z.enum(['active', 'suspended'], 'must be active or suspended').default('active'),
})

/** Sets an account's plan, role or status; cleared, they are free, user and active. Suspended, its sessions end. */
export const adminUpdateUser =
  (deps: Deps): Unary<AdminServiceUpdateUserRequest, User> =>
  async (input, call) => {
    const wanted = validate(request, input)
    const fields = fieldsToSet(input.updateMask, FIELDS, (field) => input[field] !== undefined)
    if (!isId(input.id, 'user_')) throw userNotFound()
    const isSuspended = fields.has('status') && wanted.status === 'suspended'
    const caller = identityOf(call)
    if (isSuspended && input.id === caller.userId) throw ownAccount()
    const isRestored = fields.has('status') && !isSuspended
    const now = deps.now()
    const user = await changeUser(deps, input.id, now, async ({ id, role }, tx) => {
      const isDemoted = fields.has('role') && wanted.role === 'user'
      const isAdmin = (fields.has('role') ? wanted.role : role) === 'admin'
      if (isAdmin && (fields.has('role') || isRestored)) refuseLesser(caller)
      if (role === 'admin' && (isDemoted || isSuspended))
        await refuseLastAdmin(tx, id, isDemoted ? 'role' : 'status')
      // With the account's row locked, as logins have it: no session begins that is not ended here.
      if (isSuspended) await endSessionsOf(tx, id, now)
      if (isDemoted || isSuspended) await revokeInvitationsOf(tx, id, now)
      return Object.fromEntries([...fields].map((field) => [field, wanted[field]]))
    })
    if (!user) throw userNotFound()
    return user
  }

async function refuseLastAdmin(tx: ISql, id: string, field: 'role' | 'status'): Promise<void> {
  const admins = await lockAdmins(tx)
  if (admins.some((admin) => admin !== id)) return
  throw new Refusal('LAST_ADMIN', 'This is the last admin; make another one first', {
    fields: [{ field, message: 'is the last admin' }],
  })
}

async function endSessionsOf(tx: ISql, userId: string, now: Date): Promise<void> {
  await tellRevoked(tx, await endAllSessions(tx, userId, now), { userId, reason: 'suspended' }, now)
}

/** Restored, or an admin again, the account has none: who had it in between has no way back in. */
async function revokeInvitationsOf(tx: ISql, userId: string, now: Date): Promise<void> {
  for (const invitation of await deleteInvitationsOf(tx, userId))
    await appendInvitationRevoked(tx, invitation, now)
}

const ownAccount = () =>
  new Refusal('OWN_ACCOUNT', 'You cannot suspend your own account; another admin can', {
    fields: [{ field: 'status', message: 'cannot be suspended for your own account' }],
  })
