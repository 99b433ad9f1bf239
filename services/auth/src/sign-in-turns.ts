import { setTimeout as delay } from 'node:timers/promises'
import { addressSubject } from '@instatunnel/kit/client-address'
import { type BulkheadCaller, createBulkhead } from './bulkhead.ts'
import { passwordsBusy } from './call-refusals.ts'
import type { Attempt } from './domain/decision.ts'
import type { DeviceCookie } from './domain/device-cookie.ts'
import type { HomeNetworks } from './home-networks.ts'

// A sign-in that Check admits comes back as a call, which takes a millisecond of the event loop, 200 times what Check takes.
// At 400 a second that is less than half of it, and still several times the passwords that can be hashed in the time.
const AT_ONCE = 2
const TURN_MS = 5
// The last one waits for 160 ms, and for three times that where all queues are full. The gateway waits for two seconds, so
// there is room for a busy machine.
const MAX_WAITING = 64
// Strangers have networks without end; whoever has been here before waits for none of them.
const QUEUES = ['devices', 'homes', 'strangers'] as const

/** Resolves once a sign-in may go on; rejects with PASSWORDS_BUSY where too many wait, or as the signal does. */
export type SignInTurns = (attempt: Attempt, signal?: AbortSignal) => Promise<void>

/** By what sign-ins are told apart, before anything is looked up. */
export interface SignInTurnsOptions {
  readonly deviceCookie: Pick<DeviceCookie, 'read'>
  /** What names the account that a device's token was made for; undefined where auth made no such token. */
  readonly deviceAccountOf: (token: string) => string | undefined
  readonly homes: Pick<HomeNetworks, 'has'>
}

/**
 * Creates the turns of a replica: sign-ins are admitted a few at a time, so that no other call waits behind a burst of them,
 * and what is too many is refused before a body is read or the database is asked. Browsers that an account was logged in from,
 * others from networks that one was logged in from lately, and strangers have a queue each.
 */
export function createSignInTurns({ deviceCookie, deviceAccountOf, homes }: SignInTurnsOptions): SignInTurns {
  const turns = createBulkhead({
    atOnce: AT_ONCE,
    queues: QUEUES,
    maxWaiting: MAX_WAITING,
    full: passwordsBusy,
  })
  const placeOf = ({ cookie = '' }: Attempt, address: string): Omit<SignInCaller, 'signal' | 'address'> => {
    for (const token of deviceCookie.read(cookie).flat()) {
      const account = deviceAccountOf(token)
      if (account !== undefined) return { queue: 'devices', account }
    }
    return { queue: homes.has(address) ? 'homes' : 'strangers' }
  }
  return (attempt, signal = new AbortController().signal) =>
    new Promise((resolve, reject) => {
      const take = () => {
        resolve()
        return delay(TURN_MS)
      }
      const address = addressSubject(attempt.address ?? '')
      turns(take, { ...placeOf(attempt, address), address, signal }).catch(reject)
    })
}

type SignInCaller = BulkheadCaller<(typeof QUEUES)[number]>
