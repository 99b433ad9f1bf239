import { Refusal } from '@instatunnel/kit/refusal'
import PQueue from 'p-queue'
import { hashPassword, isNobodysPassword, isPassword } from './domain/password.ts'

// Argon2 runs in libuv's pool of four threads: with two of them left, DNS, files and cryptography never wait for it.
const AT_ONCE = 2
// A hash takes about 50 ms: the last one in a full queue waits less than two seconds.
const MAX_WAITING = 32

/** Who waits for a hash. */
export interface HashCaller {
  /** Aborts when the caller goes away: its turn is dropped without hashing. */
  readonly signal: AbortSignal
  /** Whether it goes before those that nobody knows: these have a queue of their own to fill. */
  readonly isKnown: boolean
}

/**
 * Hashes passwords in a lane of their own, two at once and a short queue; past that it refuses with PASSWORDS_BUSY. Never call
 * it inside a transaction: a connection would be held for as long as the queue is.
 */
export interface PasswordHasher {
  hash(password: string, caller: HashCaller): Promise<string>
  /** Whether it is the stored password; where none is stored it never is, after the same wait and the same work. */
  matches(password: string, stored: string | undefined, caller: HashCaller): Promise<boolean>
}

/** Creates the lane of a replica. */
export function createPasswordHasher(): PasswordHasher {
  const lane = new PQueue({ concurrency: AT_ONCE })
  const inLane = async <T>(work: () => Promise<T>, { signal, isKnown }: HashCaller): Promise<T> => {
    const priority = isKnown ? 1 : 0
    if (lane.sizeBy({ priority }) >= MAX_WAITING) throw passwordsBusy()
    signal.throwIfAborted()
    // Not the caller's own signal: p-queue lets the next one in when that aborts, and a hash that has begun goes on.
    const waiting = new AbortController()
    const leave = () => waiting.abort(signal.reason)
    signal.addEventListener('abort', leave)
    const begin = () => {
      signal.removeEventListener('abort', leave)
      return work()
    }
    return lane.add(begin, { priority, signal: waiting.signal })
  }
  return {
    hash: (password, caller) => inLane(() => hashPassword(password), caller),
    matches: (password, stored, caller) =>
      inLane(
        () => (stored === undefined ? isNobodysPassword(password) : isPassword(password, stored)),
        caller,
      ),
  }
}

const passwordsBusy = () =>
  new Refusal('PASSWORDS_BUSY', 'Too many passwords are being checked right now; try again shortly', {
    retryAfterSeconds: 1,
  })
