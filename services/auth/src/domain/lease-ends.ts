import type { LeaseUsesResponse } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { lose } from './lease-held.ts'
import type { LeaseTalk } from './lease-talk.ts'

/** Who waits for a key hears that nothing is left of it. */
export function refuseAll(talk: LeaseTalk, answer: LeaseUsesResponse): void {
  for (const waiter of talk.waiting.splice(0)) waiter.settle(answer)
}

/** Whoever waits for that hears that all has gone back. */
export function wentBack(talk: LeaseTalk): void {
  talk.back?.resolve(talk)
  talk.back = undefined
}

/** What was held is lost: the next request begins anew. */
export function lost(talk: LeaseTalk): void {
  lose(talk)
  talk.request = undefined
}

/** There is no such key: nothing is held of it, and who waits for it hears that. */
export function gone(talk: LeaseTalk, reason: unknown): void {
  lost(talk)
  talk.answer = undefined
  talk.wantsMore = false
  failAll(talk, reason)
  wentBack(talk)
}

/** Keys did not answer: nobody waits until it does. */
export function fail(talk: LeaseTalk, error: unknown): void {
  talk.wantsMore = false
  failAll(talk, error)
  talk.back?.reject(error)
  talk.back = undefined
}

function failAll(talk: LeaseTalk, error: unknown): void {
  for (const waiter of talk.waiting.splice(0)) waiter.fail(error)
}
