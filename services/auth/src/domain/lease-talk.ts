import { Refusal } from '@instatunnel/kit/refusal'
import type {
  LeaseUsesRequest,
  LeaseUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import {
  type HeldLease,
  hasOne,
  isNothing,
  noLease,
  park,
  type Settling,
  settle,
  useOne,
  wantedOf,
} from './lease-held.ts'

/** A call that waits for a use. */
export interface Waiter {
  /** False where it only looks. */
  readonly uses: boolean
  /** Aborted where nobody waits any more. */
  readonly signal: AbortSignal | undefined
  settle(outcome: 'VALID' | LeaseUsesResponse): void
  fail(error: unknown): void
}

/** A key whose uses this replica holds or asks for, and what is said of it to keys: one request at a time. */
export interface LeaseTalk extends HeldLease {
  readonly keyId: string
  readonly waiting: Waiter[]
  /** Asked, and not answered for all we know: it is asked again as it was. */
  request: LeaseRequest | undefined
  /** What keys said last. */
  answer: LeaseUsesResponse | undefined
  isAsking: boolean
  wantsMore: boolean
  /** Where all is to go back: who waits for that. */
  back: PromiseWithResolvers<LeaseTalk> | undefined
}

/** What is asked, whenever it is. */
export interface LeaseRequest extends Settling {
  readonly turn: number
  readonly wanted: number
  /** True where all goes back. */
  readonly isBack: boolean
  /** The key was changed meanwhile: what is granted must not be used, and a "no" need not be one. */
  isStale: boolean
  /** When it was first asked. */
  readonly since: number
}

// A request that keys did not answer is asked again for as long as the lease that it may have given.
const REPEATED_MS = 10_000

/** A talk about a key that nothing is held of. */
export const newTalk = (keyId: string): LeaseTalk => ({
  ...noLease(),
  ...{ keyId, waiting: [], request: undefined, answer: undefined },
  ...{ isAsking: false, wantsMore: false, back: undefined },
})

/** True where there is something to ask keys for. */
export const isDue = ({ back, parked, waiting, wantsMore }: LeaseTalk): boolean =>
  back !== undefined || parked > 0 || waiting.length > 0 || wantsMore

/** True where there is nothing left to say. */
export const isOver = (talk: LeaseTalk): boolean =>
  !talk.isAsking && !talk.request && talk.waiting.length === 0 && isNothing(talk)

/** True for a request that is not worth repeating: whatever it was granted has ended. */
export const isTooLate = (request: LeaseRequest, time: number): boolean => time - request.since >= REPEATED_MS

/** What to ask next: that all goes back, before anything else; or that alone. */
export function nextRequest(
  talk: LeaseTalk,
  turn: number,
  time: number,
  isBack = talk.back !== undefined || talk.parked > 0,
): LeaseRequest {
  if (isBack) park(talk)
  else talk.wantsMore = false
  const wanted = isBack ? 0 : wantedOf(talk, talk.waiting.length, time)
  return { ...settle(talk, time), turn, wanted, isBack, isStale: false, since: time }
}

/** A request as it is sent: what was used, as of now. */
export function messageOf(
  { turn, wanted, used, returned, kept }: LeaseRequest,
  { keyId, holder, time }: { keyId: string; holder: string; time: number },
): LeaseUsesRequest {
  const ago = used.times.map((at, i) => ({ agoMs: Math.max(time - at, 0), count: used.counts[i] as number }))
  return { keyId, holder, turn, wanted, used: ago, returned, kept }
}

/** Has nobody wait who has gone: a use would be spent for nothing. */
export function dropGone(talk: LeaseTalk): void {
  if (!talk.waiting.some(isGone)) return
  const gone = talk.waiting.filter(isGone)
  talk.waiting.splice(0, Number.POSITIVE_INFINITY, ...talk.waiting.filter((waiter) => !isGone(waiter)))
  for (const waiter of gone) waiter.fail(new Refusal('UNAVAILABLE', 'The caller has gone'))
}

const isGone = ({ signal }: Waiter) => signal?.aborted === true

/** Gives those who wait what there is, in order. */
export function serve(talk: LeaseTalk, time: number): void {
  dropGone(talk)
  while (talk.waiting.length > 0 && hasOne(talk, time)) {
    const waiter = talk.waiting.shift() as Waiter
    if (waiter.uses) useOne(talk, time)
    waiter.settle('VALID')
  }
}
