import { addressSubject } from '@instatunnel/kit/client-address'
import { Refusal } from '@instatunnel/kit/refusal'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import {
  AuthServiceService,
  type ChangePasswordRequest,
  type ChangePasswordResponse,
} from '@instatunnel/proto/auth/v1/auth_service'
import { z } from 'zod'
import { checkedAddressOf } from '../admit-public.ts'
import { passwordField } from '../domain/account.ts'
import { countChange } from '../login-attempts.ts'
import { publishLoginFailure } from '../login-failure.ts'
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
    const { sql, passwords, evict, now } = deps
    const { currentPassword, newPassword } = validate(request, input)
    const { userId, credential } = identityOf(call)
    const { path: method } = AuthServiceService.changePassword
    const checked = { metadata: call.metadata, method }
    const address = checkedAddressOf(deps.checkedAddresses, checked, now()) ?? ''
    const network = addressSubject(address)
    const attempt = await countChange(deps, { userId, network })
    const caller = { signal: call.signal, queue: 'changes', account: userId, address: network } as const
    // Where a password was not hashed, nothing was tried.
    const notMade = (error: unknown) => {
      attempt.notMade()
      throw error
    }
    const before = await findPasswordHash(sql, userId)
    if (before === undefined) throw userNotFound()
    const matches = await passwords.matches(currentPassword, before.passwordHash, caller).catch(notMade)
    if (!matches) {
      await publishLoginFailure(deps, { email: before.email, address })
      throw wrongPassword()
    }
    await attempt.right()
    const passwordHash = await passwords.hash(newPassword, caller)
    const ended = await sql.begin(async (tx) => {
      const user = await lockUser(tx, userId)
      if (!user) throw userNotFound()
      // It was changed meanwhile: what was compared is the current password no more.
      if (user.passwordHash !== before.passwordHash) throw wrongPassword()
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
