import { Refusal } from '@instatunnel/kit/refusal'
import { type Book, broughtUpTo, counted, fitted, forfeited, type Lease } from './lease-book.ts'
import { grant, LEASE_MS, type LeaseOutcome } from './lease-grant.ts'
import { countOf, inWindow } from './own-window.ts'

/** What a holder asks for, and settles. */
export interface LeaseAsk {
  readonly holder: string
  readonly turn: number
  readonly wanted: number
  readonly used: readonly { readonly agoMs: number; readonly count: number }[]
  readonly returned: number
  readonly kept: number
}

/**
 * Settles what a holder had, and grants it more where there is more; what those had who are no more is lost. The same
 * turn again changes nothing once it is answered. Refuses where what the holder says to have had is lost.
 */
export function leaseUses(before: Book, ask: LeaseAsk, gone: readonly string[], now: number): LeaseOutcome {
  const book = broughtUpTo(now, before)
  const own = book.leases.find(({ holder }) => holder === ask.holder)
  if (own && ask.turn < own.turn) throw leaseLost()
  const isRepeated = own?.turn === ask.turn
  if (isRepeated && own.answer) {
    // A "no" of before need not be one now; who heard none has nothing to lose, and asks anew.
    if (own.held < own.answer.granted || own.answer.code !== '') throw leaseLost()
    return { book, answer: own.answer, until: own.until }
  }
  const settledBook = isRepeated ? book : settled(book, own, ask, now)
  // One that is not heard of may go on to use what it holds, until that ends: it must not come on top of what was set.
  const isSettled = book.meter.nextRemaining === null
  return grant(fitted(isSettled ? forfeited(settledBook, gone) : settledBook), ask.holder, ask.wanted, now)
}

function settled({ meter, leases }: Book, own: Lease | undefined, ask: LeaseAsk, now: number): Book {
  const { holder, turn, returned, kept } = ask
  const { held = 0, until = now } = own ?? {}
  // Whatever the holder's clock says: no use was before its lease, and none is still to come.
  const earliest = Math.min(until - LEASE_MS, now)
  const used = ask.used.map(({ agoMs, count }) => ({
    at: Math.min(Math.max(now - agoMs, earliest), now),
    count,
  }))
  const lost = held - countOf(used) - returned - kept
  if (lost < 0) throw leaseLost()
  const { remaining } = meter
  const back = remaining === null ? meter : { ...meter, remaining: remaining + returned }
  const all = lost > 0 ? [...used, { at: now, count: lost }] : used
  return {
    meter: counted(back, meter.window ? inWindow(all, meter.window, now) : all),
    leases: [...leases.filter((lease) => lease !== own), { holder, turn, answer: null, held: kept, until }],
  }
}

const leaseLost = () => new Refusal('LEASE_LOST', 'What the holder had of this key is lost; it may ask anew')
