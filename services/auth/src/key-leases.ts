import { setImmediate } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import { reasonIn } from '@instatunnel/kit/status'
import type {
  KeyDirectoryServiceService,
  LeaseUsesRequest,
  LeaseUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import {
  type HeldLease,
  hasOne,
  isNothing,
  lose,
  noLease,
  park,
  renew,
  settle,
  useOne,
  wantedOf,
} from './domain/lease-held.ts'
import type { LeaseMoments } from './domain/lease-moments.ts'

import { KeyGone } from './key-gone.ts'

/** The one rpc of keys that leases are settled by. */
export type LeaseClient = Pick<ServiceClient<typeof KeyDirectoryServiceService>, 'leaseUses'>

/** A key whose uses this replica holds, or asks for. */
export interface KeyLease extends HeldLease {
  readonly keyId: string
  /** What keys said last. */
  answer: LeaseUsesResponse | undefined
}

/** A call that waits for a use. */
export interface Waiter {
  /** False where it only looks. */
  readonly uses: boolean
  settle(outcome: 'VALID' | LeaseUsesResponse): void
  fail(error: unknown): void
}

/** The leases of this replica, and their conversations with keys: one request of a key at a time. */
export interface KeyLeases {
  find(keyId: string): KeyLease | undefined
  all(): Iterable<KeyLease>
  /** How many requests are under way. */
  underWay(): number
  isAsking(lease: KeyLease): boolean
  /** Has a call wait; whatever waits of a key at once is asked for together. */
  wait(keyId: string, waiter: Waiter): void
  /** Asks for more before any call waits. */
  askMore(lease: KeyLease): void
  /** Settles a lease and gives back what is left. Makes one of nothing where there is none: so keys tells what is left. */
  giveBack(keyId: string): Promise<KeyLease>
  /** As giveBack, of what must not be used any more, also what is being granted just now. */
  evict(lease: KeyLease): void
  /** Forgets what is not worth keeping. */
  tidy(lease: KeyLease, time: number): void
}

// A request that keys did not answer is asked again for as long as the lease that it may have given.
const REPEATED_MS = 10_000

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
  const { keys, replica, refused, forget } = options
  const now = () => options.now().getTime()
  const leases = new Map<string, Talk>()
  let turn = 0
  let underWay = 0

  const open = (keyId: string): Talk => {
    const known = leases.get(keyId)
    if (known) return known
    const talk: Talk = {
      ...noLease(),
      ...{ keyId, answer: undefined, waiting: [], request: undefined },
      ...{ wantsMore: false, back: undefined, isAsking: false },
    }
    leases.set(keyId, talk)
    return talk
  }

  const start = (talk: Talk) => {
    if (talk.isAsking) return
    talk.isAsking = true
    underWay++
    void converse(talk)
  }
  /** Asks as long as there is something to ask for; what cannot be told now, nobody waits for. */
  const converse = async (talk: Talk) => {
    // What comes in one turn of the event loop is asked for together.
    await setImmediate()
    let losses = 0
    while (isDue(talk)) {
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
    talk.isAsking = false
    underWay--
    if (isOver(talk)) leases.delete(talk.keyId)
  }
  const exchange = async (talk: Talk) => {
    const request = talk.request ?? compose(talk)
    talk.request = request
    const askedAt = now()
    const answer = await askTwice(() => keys.leaseUses(messageOf(request, askedAt)))
    talk.request = undefined
    talk.answer = answer
    renew(talk, answer, askedAt)
    if (request.isBack) {
      talk.back?.resolve(talk)
      talk.back = undefined
    }
    if (request.isStale) return park(talk)
    serve(talk)
    if (answer.code !== '' && request.wanted > 0) refuse(talk, answer)
  }
  const compose = (talk: Talk): LeaseRequest => {
    const time = now()
    const isBack = talk.back !== undefined || talk.parked > 0
    if (isBack) park(talk)
    else talk.wantsMore = false
    const wanted = isBack ? 0 : wantedOf(talk, talk.waiting.length, time)
    const head = { keyId: talk.keyId, holder: replica, turn: ++turn, wanted }
    return { ...head, ...settle(talk, time), isBack, isStale: false, since: time }
  }

  const serve = (talk: Talk) => {
    const time = now()
    while (talk.waiting.length > 0 && hasOne(talk, time)) {
      const waiter = talk.waiting.shift() as Waiter
      if (waiter.uses) useOne(talk, time)
      waiter.settle('VALID')
    }
  }
  const refuse = (talk: Talk, answer: LeaseUsesResponse) => {
    refused(talk.keyId, answer)
    for (const waiter of talk.waiting.splice(0)) waiter.settle(answer)
  }
  const lost = (talk: Talk) => {
    lose(talk)
    talk.request = undefined
  }
  const gone = (talk: Talk) => {
    lost(talk)
    talk.answer = undefined
    talk.wantsMore = false
    forget(talk.keyId)
    for (const waiter of talk.waiting.splice(0)) waiter.fail(new KeyGone())
    talk.back?.resolve(talk)
    talk.back = undefined
  }
  const fail = (talk: Talk, error: unknown) => {
    talk.wantsMore = false
    for (const waiter of talk.waiting.splice(0)) waiter.fail(error)
    talk.back?.reject(error)
    talk.back = undefined
  }

  const giveBack = (talk: Talk): Promise<KeyLease> => {
    if (!talk.back) {
      talk.back = Promise.withResolvers()
      talk.back.promise.catch(() => {}) // not everybody waits for it
    }
    const { promise } = talk.back
    start(talk)
    return promise
  }
  return {
    find: (keyId) => leases.get(keyId),
    all: () => leases.values(),
    underWay: () => underWay,
    isAsking: (lease) => (lease as Talk).isAsking,
    wait(keyId, waiter) {
      const talk = open(keyId)
      talk.waiting.push(waiter)
      start(talk)
    },
    askMore(lease) {
      const talk = lease as Talk
      if (talk.isAsking) return
      talk.wantsMore = true
      start(talk)
    },
    giveBack: (keyId) => giveBack(open(keyId)),
    evict(lease) {
      const talk = lease as Talk
      if (talk.request) talk.request.isStale = true
      park(talk)
      giveBack(talk)
    },
    tidy(lease, time) {
      const talk = lease as Talk
      if (talk.isAsking) return
      if (talk.request && time - talk.request.since >= REPEATED_MS) talk.request = undefined
      if (time >= talk.until && !talk.request) lose(talk)
      if (isOver(talk)) leases.delete(talk.keyId)
    },
  }
}

/** A lease, and what is said of it. */
interface Talk extends KeyLease {
  readonly waiting: Waiter[]
  /** Asked, and not answered for all we know: it is asked again as it was. */
  request: LeaseRequest | undefined
  wantsMore: boolean
  /** Where all is to go back: who waits for that. */
  back: PromiseWithResolvers<KeyLease> | undefined
  isAsking: boolean
}

interface LeaseRequest {
  readonly keyId: string
  readonly holder: string
  readonly turn: number
  readonly wanted: number
  readonly used: LeaseMoments
  readonly returned: number
  readonly kept: number
  readonly isBack: boolean
  /** The key was changed meanwhile: what is granted must not be used, and a "no" need not be one. */
  isStale: boolean
  /** When it was first asked. */
  readonly since: number
}

const isDue = ({ back, parked, waiting, wantsMore }: Talk) =>
  back !== undefined || parked > 0 || waiting.length > 0 || wantsMore

const isOver = (talk: Talk) => !talk.isAsking && !talk.request && talk.waiting.length === 0 && isNothing(talk)

function messageOf({ used, ...request }: LeaseRequest, time: number): LeaseUsesRequest {
  const { keyId, holder, turn, wanted, returned, kept } = request
  const ago = used.times.map((at, i) => ({ agoMs: Math.max(time - at, 0), count: used.counts[i] as number }))
  return { keyId, holder, turn, wanted, used: ago, returned, kept }
}

const codeOf = (error: unknown) => (error as { code?: unknown } | undefined)?.code

/** Asks once more where the answer was lost on its way: another replica of keys may be there. */
async function askTwice(ask: () => Promise<LeaseUsesResponse>): Promise<LeaseUsesResponse> {
  try {
    return await ask()
  } catch (error) {
    const { code, metadata } = error as { code?: unknown; metadata?: Parameters<typeof reasonIn>[0] }
    const isSaidByKeys = metadata !== undefined && reasonIn(metadata) !== undefined
    if (code !== status.UNAVAILABLE || isSaidByKeys) throw error
    return ask()
  }
}
