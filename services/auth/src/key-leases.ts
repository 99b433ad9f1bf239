import { setImmediate } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import { reasonIn } from '@instatunnel/kit/status'
import type {
  KeyDirectoryServiceService,
  KeyRecord,
  LeaseUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { lose, park, renew } from './domain/lease-held.ts'
import {
  dropGone,
  isDue,
  isOver,
  isTooLate,
  type LeaseTalk,
  messageOf,
  newTalk,
  nextRequest,
  serve,
  type Waiter,
} from './domain/lease-talk.ts'
import { KeyGone } from './key-gone.ts'

/** The rpcs of keys that leases are settled by: of one key, of many. */
export type LeaseClient = Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'leaseUses' | 'settleUses'>

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

/** Creates the leases, none yet. */
export function createKeyLeases(options: {
  keys: LeaseClient
  replica: string
  now: () => Date
  /** Keys said that nothing is left of a key. */
  refused: (keyId: string, answer: LeaseUsesResponse) => void
  /** Forgets what is known of a key: keys does not know it as that. */
  forget: (keyId: string) => void
}): KeyLeases {
  const { keys, replica: holder, refused, forget } = options
  const now = () => options.now().getTime()
  const talks = new Map<string, LeaseTalk>()
  let turn = 0

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
        await exchange(talk)
        losses = 0
      } catch (error) {
        if (codeOf(error) === status.ABORTED && losses++ === 0) lost(talk)
        else if (codeOf(error) === status.NOT_FOUND) gone(talk)
        else {
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
  const exchange = async (talk: LeaseTalk) => {
    talk.request ??= nextRequest(talk, ++turn, now())
    const { request, keyId } = talk
    const askedAt = now()
    const message = messageOf(request, { keyId, holder, time: askedAt })
    const answer = await askTwice(() => keys.leaseUses(message))
    talk.request = undefined
    talk.answer = answer
    renew(talk, answer, askedAt)
    if (request.isBack) wentBack(talk)
    if (request.isStale) return park(talk)
    serve(talk, now())
    if (answer.code === '' || request.wanted === 0) return
    refused(keyId, answer)
    for (const waiter of talk.waiting.splice(0)) waiter.settle(answer)
  }

  const settle = async (some: readonly LeaseTalk[]): Promise<boolean> => {
    const time = now()
    const settlements = some.map((talk) => {
      talk.isAsking = true
      talk.request ??= nextRequest(talk, ++turn, time, true)
      return messageOf(talk.request, { keyId: talk.keyId, holder, time })
    })
    let failed: unknown
    try {
      const answer = await askTwice(() => keys.settleUses({ holder, settlements }))
      const losses = new Set(answer.lost)
      for (const [i, talk] of some.entries()) {
        if (losses.has(i)) lose(talk)
        talk.request = undefined
      }
    } catch (error) {
      failed = error
    }
    for (const talk of some) {
      if (failed !== undefined) fail(talk, failed)
      ended(talk)
      // Who came meanwhile, also to hear what is left of the key, which this did not tell.
      if (isDue(talk)) start(talk)
    }
    return failed === undefined
  }

  const wentBack = (talk: LeaseTalk) => {
    talk.back?.resolve(talk)
    talk.back = undefined
  }
  /** What was held is lost: the next request begins anew. */
  const lost = (talk: LeaseTalk) => {
    lose(talk)
    talk.request = undefined
  }
  const gone = (talk: LeaseTalk) => {
    lost(talk)
    talk.answer = undefined
    talk.wantsMore = false
    forget(talk.keyId)
    for (const waiter of talk.waiting.splice(0)) waiter.fail(new KeyGone())
    wentBack(talk)
  }
  const fail = (talk: LeaseTalk, error: unknown) => {
    talk.wantsMore = false
    for (const waiter of talk.waiting.splice(0)) waiter.fail(error)
    talk.back?.reject(error)
    talk.back = undefined
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
    settle,
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

/** Asks once more where the answer was lost on its way: another replica of keys may be there. */
async function askTwice<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const { code, metadata } = error as { code?: unknown; metadata?: Parameters<typeof reasonIn>[0] }
    const isSaidByKeys = metadata !== undefined && reasonIn(metadata) !== undefined
    if (code !== status.UNAVAILABLE || isSaidByKeys) throw error
    return ask()
  }
}
