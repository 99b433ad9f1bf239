import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { LoginRequest, LoginResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { z } from 'zod'
import { deviceOf } from '../devices.ts'
import { emailField } from '../domain/account.ts'
import { countAttempt } from '../login-attempts.ts'
import { publishLoginFailure } from '../login-failure.ts'
import {
  clientAddressOf,
  clientNetworkOf,
  completeSession,
  sessionFor,
  writeSession,
} from '../open-session.ts'
import { noteDevice, noteNetwork } from '../store/known-place-store.ts'
import { findUserLoggingIn, lockUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'

// Any password may be tried, of whatever length was allowed once; the bound is against the work of hashing it.
const request = z.object({
  email: emailField,
  password: z.string().min(1, 'must not be empty').max(1024, 'must be at most 1024 characters'),
})

const NO_KEY = 'You could not be logged in right now; try again shortly'

/** Logs in and sets the session cookie. */
export const login =
  (deps: Deps): Unary<LoginRequest, LoginResponse> =>
  async (input, call) => {
    const { email, password } = validate(request, input)
    const network = clientNetworkOf(call)
    const digest = deps.networkDigest(email, network)
    const device = deviceOf(deps, call, email)
    const places = { network: digest, devices: device.digests }
    const caller = { signal: call.signal, address: network }
    const found = await deps.passwords.lookUp(() => findUserLoggingIn(deps.sql, email, places), caller)
    const isKnown = found?.isKnown ?? false
    const digestKnown = found?.device ?? undefined
    const attempt = await countAttempt(deps, { email, network, isKnown, device: digestKnown })
    // What a stranger claims to be takes no place of the account's.
    const place =
      attempt.lane === 'strangers'
        ? ({ queue: 'strangers' } as const)
        : ({ queue: 'known', account: found?.id } as const)
    const matches = await deps.passwords
      .matches(password, found?.passwordHash, { ...caller, ...place })
      .catch((error) => {
        attempt.notMade()
        throw error
      })
    if (!found || !matches) {
      await publishLoginFailure(deps, { email, address: clientAddressOf(call) })
      throw loginFailed()
    }
    await attempt.right()
    const now = deps.now()
    const session = sessionFor(found, call, now)
    // A token whose attempts somebody else has used up is replaced.
    const isUsedUp = attempt.lane !== 'device'
    const kept = device.keep(digestKnown && { digest: digestKnown, isUsedUp })
    const [user, ended] = await deps.sql.begin(async (tx) => {
      const locked = await lockUser(tx, found.id)
      // The password was changed while it was being compared.
      if (locked?.passwordHash !== found.passwordHash) throw loginFailed()
      // Told only to one who knows the password.
      if (locked.status === 'suspended') throw accountSuspended()
      if (network !== '') await noteNetwork(tx, found.id, digest)
      await noteDevice(tx, found.id, kept)
      return [locked, await writeSession(tx, session, now)] as const
    })
    if (ended.length > 0) await deps.evict({ sessions: ended })
    const response = await completeSession(deps, user, session, NO_KEY)
    for (const set of [deps.cookie.set(response.token), kept.cookie]) call.setHeader('set-cookie', set)
    return response
  }

const accountSuspended = () =>
  new Refusal('ACCOUNT_SUSPENDED', 'This account is suspended; ask an administrator')

const loginFailed = () => new Refusal('LOGIN_FAILED', 'The e-mail or the password is not right')
