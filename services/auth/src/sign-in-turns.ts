import { setTimeout as delay } from 'node:timers/promises'
import { createBulkhead } from './bulkhead.ts'
import { passwordsBusy } from './call-refusals.ts'

// A sign-in that Check admits comes back as a call, which takes a millisecond of the event loop, 200 times what Check takes.
// At 400 a second that is less than half of it, and still several times the passwords that can be hashed in the time.
const AT_ONCE = 2
const TURN_MS = 5
// The last one waits for 160 ms. The gateway waits for two seconds, so there is room for a busy machine.
const MAX_WAITING = 64

/** Resolves once a sign-in may go on; rejects with PASSWORDS_BUSY where too many wait, or as the signal does. */
export type SignInTurns = (signal?: AbortSignal) => Promise<void>

/**
 * Creates the turns of a replica: sign-ins are admitted a few at a time, so that no other call waits behind a burst of them,
 * and what is too many is refused before a body is read or the database is asked.
 */
export function createSignInTurns(): SignInTurns {
  const turns = createBulkhead({
    atOnce: AT_ONCE,
    queues: ['all'],
    maxWaiting: MAX_WAITING,
    full: passwordsBusy,
  })
  return (signal = new AbortController().signal) =>
    new Promise((resolve, reject) => {
      const take = () => {
        resolve()
        return delay(TURN_MS)
      }
      turns(take, { signal, queue: 'all' }).catch(reject)
    })
}
