import { isId } from '@instatunnel/kit/id'
import { PLANS } from '@instatunnel/kit/plans'
import type { ISql } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import { fieldsToSet } from '@instatunnel/kit/update-mask'
import { validate } from '@instatunnel/kit/validate'
import type { AdminServiceUpdateUserRequest } from '@instatunnel/proto/auth/v1/admin_service'
import type { User } from '@instatunnel/proto/auth/v1/user'
import { z } from 'zod'
import { changeUser } from '../change-user.ts'
import { lockAdmins } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

const request = z.object({
  plan: z.enum(PLANS, 'must be free, pro or business').optional(),
  role: z.enum(['user', 'admin'], 'must be user or admin').optional(),
})

/** Sets an account's plan or role; cleared, they are free and user. */
export const adminUpdateUser =
  (deps: Deps): Unary<AdminServiceUpdateUserRequest, User> =>
  async (input) => {
    const { plan = 'free', role = 'user' } = validate(request, input)
    const fields = fieldsToSet(input.updateMask, ['plan', 'role'], (field) => input[field] !== undefined)
    if (!isId(input.id, 'user_')) throw userNotFound()
    const user = await changeUser(deps, input.id, deps.now(), async (before, tx) => {
      if (fields.has('role') && role === 'user' && before.role === 'admin')
        await refuseLastAdmin(tx, before.id)
      return { ...(fields.has('plan') ? { plan } : {}), ...(fields.has('role') ? { role } : {}) }
    })
    if (!user) throw userNotFound()
    return user
  }

async function refuseLastAdmin(tx: ISql, id: string): Promise<void> {
  const admins = await lockAdmins(tx)
  if (admins.some((admin) => admin !== id)) return
  throw new Refusal('LAST_ADMIN', 'This is the last admin; make another one first', {
    fields: [{ field: 'role', message: 'is the last admin' }],
  })
}
