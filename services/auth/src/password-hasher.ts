import { type BulkheadCaller, createBulkhead } from './bulkhead.ts'
import { passwordsBusy } from './call-refusals.ts'
import { hashPassword, isNobodysPassword, isPassword } from './domain/password.ts'

// Argon2 runs in libuv's pool of four threads: with two of them left, DNS, files and cryptography never wait for it.
const HASHES_AT_ONCE = 2
// A hash takes about 50 ms: the last one in a full queue waits less than three seconds, though all queues are full.
const MAX_WAITING_HASHES = 32
// Before a hash the account is looked up. A flood of logins takes no more of Postgres's connections than this.
const LOOK_UPS_AT_ONCE = 4
const MAX_WAITING_LOOK_UPS = 128

// Anybody has networks to try passwords from; a stranger who registered a few accounts has passwords of theirs to change, and
// to log in with. Who proves more than a stranger waits for none, and shares with others who do by account and by network.
const QUEUES = ['known', 'strangers', 'changes'] as const

/**
 * Whose password it is: of who logs in from where the account is known, or registers with a good invitation; of any other who
 * logs in or registers; of who is logged in and changes it.
 */
export type HashingCaller = BulkheadCaller<(typeof QUEUES)[number]>

/**
 * Hashes passwords in a lane of their own, two at once and short queues that take turns; where the caller's is full it refuses
 * with PASSWORDS_BUSY. Never call it inside a transaction: a connection would be held for as long as the queue is.
 */
export interface PasswordHasher {
  /** Looks up what a password is to be compared with, or hashed for: an account or an invitation. */
  lookUp<T>(find: () => Promise<T>, caller: Omit<HashingCaller, 'queue' | 'account'>): Promise<T>
  hash(password: string, caller: HashingCaller): Promise<string>
  /** Whether it is the stored password; where none is stored it never is, after the same wait and the same work. */
  matches(password: string, stored: string | undefined, caller: HashingCaller): Promise<boolean>
}

/** Creates the lane of a replica. */
export function createPasswordHasher(): PasswordHasher {
  const full = passwordsBusy
  const hashing = createBulkhead({
    atOnce: HASHES_AT_ONCE,
    queues: QUEUES,
    maxWaiting: MAX_WAITING_HASHES,
    full,
  })
  const lookingUp = createBulkhead({
    atOnce: LOOK_UPS_AT_ONCE,
    queues: ['all'],
    maxWaiting: MAX_WAITING_LOOK_UPS,
    full,
  })
  return {
    lookUp: (find, caller) => lookingUp(find, { ...caller, queue: 'all' }),
    hash: (password, caller) => hashing(() => hashPassword(password), caller),
    matches: (password, stored, caller) =>
      hashing(
        () => (stored === undefined ? isNobodysPassword(password) : isPassword(password, stored)),
        caller,
      ),
  }
}
