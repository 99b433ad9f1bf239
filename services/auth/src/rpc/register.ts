import { newId } from '@instatunnel/kit/id'
import { violates } from '@instatunnel/kit/postgres'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { RegisterRequest, RegisterResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { z } from 'zod'
import { type Account, emailField, nameField, passwordField, usernameFrom } from '../domain/account.ts'
import { completeSession, sessionFor, writeSession } from '../open-session.ts'
import { tellRegistered } from '../store/outbox.ts'
import { insertUser } from '../store/user-store.ts'
import { countEmail } from './count-email.ts'
import type { Deps } from './deps.ts'

const request = z.object({ email: emailField, password: passwordField, name: nameField })

const NO_KEY =
  'Your account was made, but you could not be logged in; log in with the same e-mail and password'

/** Makes an account and logs it in. */
export const register =
  (deps: Deps): Unary<RegisterRequest, RegisterResponse> =>
  async (input, call) => {
    const { email, password, name } = validate(request, input)
    await countEmail(deps, email)
    const passwordHash = await deps.passwords.hash(password, { signal: call.signal, isKnown: false })
    const now = deps.now()
    const username = usernameFrom(email)
    const user: Account = {
      id: newId('user_', now),
      email,
      name,
      username,
      plan: 'free',
      role: 'user',
      status: 'active',
      createdAt: now,
    }
    const session = sessionFor(user, call, now)
    await deps.sql
      .begin(async (tx) => {
        await insertUser(tx, { ...user, passwordHash })
        await tellRegistered(tx, user, now)
        await writeSession(tx, session, now)
      })
      .catch((error) => Promise.reject(violates(error, 'users_email_unique') ? emailTaken() : error))
    return completeSession(deps, user, session, NO_KEY)
  }

const emailTaken = () =>
  new Refusal('EMAIL_TAKEN', 'There is an account with this e-mail; log in instead', {
    fields: [{ field: 'email', message: 'has an account' }],
  })
