import { rateLimited } from '@instatunnel/kit/rate'
import { Refusal } from '@instatunnel/kit/refusal'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { ChangePasswordRequest, ChangePasswordResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { z } from 'zod'
import { passwordField } from '../domain/account.ts'
import { tellRevoked, tellUpdated } from '../store/outbox.ts'
import { endOtherSessions } from '../store/session-store.ts'
import { findPasswordHash, lockUser, updateUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

const request = z.object({
  currentPassword: z.string().min(1, 'must not be empty').max(1024, 'must be at most 1024 characters'),
  newPassword: passwordField,
})

/** Changes the caller's password and ends every session but the one that the call was made with. */
export const changePassword =
  (deps: Deps): Unary<ChangePasswordRequest, ChangePasswordResponse> =>
  async (input, call) => {
    const { sql, windows, passwords, evict, authLimit, now } = deps
    const { currentPassword, newPassword } = validate(request, input)
    const { userId, credential } = identityOf(call)
    const subject = `password:${userId}`
    const at = now()
    const rate = await windows.take(subject, authLimit, at)
    if (!rate.admitted) throw rateLimited(rate)
    const caller = { signal: call.signal, queue: 'changes', account: userId } as const
    // Where a password was not hashed, nothing was tried.
    const notMade = (error: unknown) => {
      windows.giveBack(subject, at)
      throw error
    }
    const before = await findPasswordHash(sql, userId)
    if (before === undefined) throw userNotFound()
    const matches = await passwords.matches(currentPassword, before, caller).catch(notMade)
    if (!matches) throw wrongPassword()
    const passwordHash = await passwords.hash(newPassword, caller).catch(notMade)
    const ended = await sql.begin(async (tx) => {
      const user = await lockUser(tx, userId)
      if (!user) throw userNotFound()
      // It was changed meanwhile: what was compared is the current password no more.
      if (user.passwordHash !== before) throw wrongPassword()
      await updateUser(tx, userId, { passwordHash }, now())
      const ended = await endOtherSessions(tx, { userId, except: credential.sessionId ?? '' }, now())
      await tellUpdated(tx, user, ['password'], now())
      await tellRevoked(tx, ended, { userId, reason: 'password_changed' }, now())
      return ended.map(({ id }) => id)
    })
    if (ended.length > 0) await evict({ sessions: ended })
    return { success: true, sessionsEnded: ended.length }
  }

const wrongPassword = () =>
  new Refusal('WRONG_PASSWORD', "current_password: is not the account's password", {
    fields: [{ field: 'current_password', message: "is not the account's password" }],
  })
