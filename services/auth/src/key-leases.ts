import { setImmediate } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { fail, gone, lost } from './domain/lease-ends.ts'
import { lose, park } from './domain/lease-held.ts'
import {
  dropGone,
  isDue,
  isOver,
  isTooLate,
  type LeaseTalk,
  newTalk,
  type Waiter,
} from './domain/lease-talk.ts'
import { KeyGone } from './key-gone.ts'
import { createLeaseExchange, type LeaseExchangeOptions } from './lease-exchange.ts'

/** A key, as far as its uses go. */
export type UsedKey = Pick<KeyRecord, 'id' | 'rateLimitTimeWindow'>

/** The leases of this replica, and their conversations with keys. */
export interface KeyLeases {
  find(keyId: string): LeaseTalk | undefined
  all(): Iterable<LeaseTalk>
  /** Has a call wait; whatever waits of a key at once is asked for together. */
  wait(key: UsedKey, waiter: Waiter): void
  /** Asks for more before any call waits. */
  askMore(talk: LeaseTalk): void
  /** Settles a lease and gives back what is left. Makes one of nothing where there is none: so keys tells what is left. */
  giveBack(keyId: string): Promise<LeaseTalk>
  /** Gives back what is left of all these, of which nothing is under way, by one request; false where keys is away. */
  settle(talks: readonly LeaseTalk[]): Promise<boolean>
  /** Uses nothing of this any more, nor what is being granted just now; it is to be given back. */
  withdraw(talk: LeaseTalk): void
  /** Forgets what is not worth keeping; true where that is all of it. */
  tidy(talk: LeaseTalk, time: number): boolean
}

/** What leases stand on. */
export interface KeyLeasesOptions extends LeaseExchangeOptions {
  /** Forgets what is known of a key: keys does not know it as that. */
  readonly forget: (keyId: string) => void
}

/** Creates the leases, none yet. */
export function createKeyLeases(options: KeyLeasesOptions): KeyLeases {
  const { forget } = options
  const exchange = createLeaseExchange(options)
  const talks = new Map<string, LeaseTalk>()

  const open = (keyId: string): LeaseTalk => {
    const known = talks.get(keyId)
    if (known) return known
    const talk = newTalk(keyId)
    talks.set(keyId, talk)
    return talk
  }
  const start = (talk: LeaseTalk) => {
    if (talk.isAsking) return
    talk.isAsking = true
    void converse(talk)
  }

  /** Asks as long as there is something to ask for; what cannot be told now, nobody waits for. */
  const converse = async (talk: LeaseTalk) => {
    // What comes in one turn of the event loop is asked for together.
    await setImmediate()
    let losses = 0
    for (dropGone(talk); isDue(talk); dropGone(talk)) {
      try {
        await exchange.ask(talk)
        losses = 0
      } catch (error) {
        if (codeOf(error) === status.ABORTED && losses++ === 0) lost(talk)
        else if (codeOf(error) === status.NOT_FOUND) {
          forget(talk.keyId)
          gone(talk, new KeyGone())
        } else {
          fail(talk, error)
          break
        }
      }
    }
    ended(talk)
  }
  const ended = (talk: LeaseTalk) => {
    talk.isAsking = false
    if (isOver(talk)) talks.delete(talk.keyId)
  }
  const giveBack = (talk: LeaseTalk): Promise<LeaseTalk> => {
    if (!talk.back) {
      talk.back = Promise.withResolvers()
      talk.back.promise.catch(() => {}) // not everybody waits for it
    }
    const { promise } = talk.back
    start(talk)
    return promise
  }
  return {
    find: (keyId) => talks.get(keyId),
    all: () => talks.values(),
    wait({ id, rateLimitTimeWindow }, waiter) {
      const talk = open(id)
      talk.windowMs = rateLimitTimeWindow ?? Number.POSITIVE_INFINITY
      talk.waiting.push(waiter)
      start(talk)
    },
    askMore(talk) {
      if (talk.isAsking) return
      talk.wantsMore = true
      start(talk)
    },
    giveBack: (keyId) => giveBack(open(keyId)),
    async settle(some) {
      for (const talk of some) talk.isAsking = true
      const failed = await exchange.settle(some).catch((error: unknown) => ({ error }))
      for (const talk of some) {
        if (failed) fail(talk, failed.error)
        ended(talk)
        // Who came meanwhile, also to hear what is left of the key, which this did not tell.
        if (isDue(talk)) start(talk)
      }
      return !failed
    },
    withdraw(talk) {
      if (talk.request) talk.request.isStale = true
      park(talk)
    },
    tidy(talk, time) {
      if (talk.isAsking) return false
      if (talk.request && isTooLate(talk.request, time)) talk.request = undefined
      if (time >= talk.until && !talk.request) lose(talk)
      return isOver(talk) && talks.delete(talk.keyId)
    },
  }
}

const codeOf = (error: unknown) => (error as { code?: unknown } | undefined)?.code
