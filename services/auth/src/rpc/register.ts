import { newId } from '@instatunnel/kit/id'
import { violates } from '@instatunnel/kit/postgres'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { RegisterRequest, RegisterResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { z } from 'zod'
import { deviceOf } from '../devices.ts'
import {
  type Account,
  emailField,
  emailKey,
  nameField,
  passwordField,
  usernameFrom,
} from '../domain/account.ts'
import { countAttempt } from '../login-attempts.ts'
import { clientNetworkOf, completeSession, sessionFor, writeSession } from '../open-session.ts'
import { noteDevice, noteNetwork } from '../store/known-place-store.ts'
import { tellRegistered } from '../store/outbox.ts'
import { findUserByEmail, insertUser } from '../store/user-store.ts'
import { admitRegistration } from './admit-registration.ts'
import type { Deps } from './deps.ts'
import { emailTaken } from './email-taken.ts'

const request = z.object({
  email: emailField,
  password: passwordField,
  name: nameField,
  invitation: z.string().max(256, 'must be at most 256 characters').optional(),
})

const NO_KEY =
  'Your account was made, but you could not be logged in; log in with the same e-mail and password'

/** Makes an account and logs it in. */
export const register =
  (deps: Deps): Unary<RegisterRequest, RegisterResponse> =>
  async (input, call) => {
    const { email, password, name, invitation } = validate(request, input)
    const network = clientNetworkOf(call)
    const caller = { signal: call.signal, address: network }
    const takeInvitation = await admitRegistration(deps, { email, invitation }, caller)
    const found = await deps.passwords.lookUp(() => findUserByEmail(deps.sql, email), caller)
    // Whoever finds out so that an e-mail has an account is held up as one who tries its password. One that has none is made
    // whatever strangers tried of it: they could keep its owner out.
    const attempt = found && (await countAttempt(deps, { email, network, isKnown: false }))
    // An invitation is good for one e-mail, so that is what its account is known by.
    const place = invitation
      ? ({ queue: 'known', account: emailKey(email) } as const)
      : ({ queue: 'strangers' } as const)
    const passwordHash = await deps.passwords.hash(password, { ...caller, ...place }).catch((error) => {
      attempt?.notMade()
      throw error
    })
    const now = deps.now()
    const username = usernameFrom(email)
    const ordinary: Account = {
      id: newId('user_', now),
      email,
      name,
      username,
      plan: 'free',
      role: 'user',
      status: 'active',
      createdAt: now,
    }
    const session = sessionFor(ordinary, call, now)
    const device = deviceOf(deps, call, email).keep()
    const user = await deps.sql
      .begin(async (tx) => {
        const taken = await takeInvitation(tx)
        const user = taken ? { ...ordinary, plan: taken.plan, role: taken.role } : ordinary
        await insertUser(tx, { ...user, passwordHash })
        await tellRegistered(tx, user, now, taken?.id)
        if (network !== '') await noteNetwork(tx, user.id, deps.networkDigest(email, network))
        await noteDevice(tx, user.id, device)
        await writeSession(tx, session, now)
        return user
      })
      .catch((error) =>
        Promise.reject(violates(error, 'users_email_unique') ? emailTaken('; log in instead') : error),
      )
    const response = await completeSession(deps, user, session, NO_KEY)
    call.setHeader('set-cookie', device.cookie)
    return response
  }
