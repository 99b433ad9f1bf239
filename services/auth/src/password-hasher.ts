import { Refusal } from '@instatunnel/kit/refusal'
import { type BulkheadCaller, createBulkhead } from './bulkhead.ts'
import { hashPassword, isNobodysPassword, isPassword } from './domain/password.ts'

// Argon2 runs in libuv's pool of four threads: with two of them left, DNS, files and cryptography never wait for it.
const HASHES_AT_ONCE = 2
// A hash takes about 50 ms: the last one in a full queue waits less than two seconds.
const MAX_WAITING_HASHES = 32
// Before a hash the account is looked up. A flood of logins takes no more of Postgres's connections than this.
const LOOK_UPS_AT_ONCE = 4
const MAX_WAITING_LOOK_UPS = 128

/**
 * Hashes passwords in a lane of their own, two at once and a short queue; past that it refuses with PASSWORDS_BUSY. Never call
 * it inside a transaction: a connection would be held for as long as the queue is.
 */
export interface PasswordHasher {
  /** Looks up what a password is to be compared with, or hashed for: an account or an invitation. */
  lookUp<T>(find: () => Promise<T>, signal: AbortSignal): Promise<T>
  hash(password: string, caller: BulkheadCaller): Promise<string>
  /** Whether it is the stored password; where none is stored it never is, after the same wait and the same work. */
  matches(password: string, stored: string | undefined, caller: BulkheadCaller): Promise<boolean>
}

/** Creates the lane of a replica. */
export function createPasswordHasher(): PasswordHasher {
  const full = passwordsBusy
  const hashing = createBulkhead({ atOnce: HASHES_AT_ONCE, maxWaiting: MAX_WAITING_HASHES, full })
  const lookingUp = createBulkhead({ atOnce: LOOK_UPS_AT_ONCE, maxWaiting: MAX_WAITING_LOOK_UPS, full })
  return {
    lookUp: (find, signal) => lookingUp(find, { signal, isKnown: false }),
    hash: (password, caller) => hashing(() => hashPassword(password), caller),
    matches: (password, stored, caller) =>
      hashing(
        () => (stored === undefined ? isNobodysPassword(password) : isPassword(password, stored)),
        caller,
      ),
  }
}

const passwordsBusy = () =>
  new Refusal('PASSWORDS_BUSY', 'Too many passwords are being checked right now; try again shortly', {
    retryAfterSeconds: 1,
  })
