import { describe, expect, it } from 'vitest'
import { type LeaseAsk, leaseUses } from './lease.ts'
import { type Book, excessIn, heldBy, isExhaustedBy, withRemaining } from './lease-book.ts'
import { LEASE_MS, type LeaseOutcome } from './lease-grant.ts'
import type { Meter } from './lease-meter.ts'

const NOW = 1_000_000

const counting: Meter = {
  ...{ remaining: 100, nextRemaining: null, refill: null, lastRefillAt: null, window: null, used: [] },
}
const windowed: Meter = { ...counting, remaining: null, window: { lengthMs: 1000, max: 10 } }
const bookOf = (meter: Meter): Book => ({ meter, leases: [] })

const asking = (holder: string, turn: number, rest: Partial<LeaseAsk> = {}): LeaseAsk => ({
  ...{ holder, turn, wanted: 1, used: [], returned: 0, kept: 0 },
  ...rest,
})

/** Asks as it should be answered at once. */
function leased(book: Book, ask: LeaseAsk, now = NOW, gone: string[] = []) {
  const outcome = leaseUses(book, ask, gone, now)
  if (outcome.holders) throw new Error(`asks ${outcome.holders}`)
  return outcome
}

const lost = expect.objectContaining({ reason: 'LEASE_LOST' })
const thrownBy = (call: () => LeaseOutcome) => {
  try {
    return call()
  } catch (error) {
    return error
  }
}

describe('leaseUses', () => {
  it('grants what waits and an eighth of what is left then, for ten seconds', () => {
    const { answer, book, until } = leased(bookOf(counting), asking('a', 1, { wanted: 4 }))
    expect(answer).toEqual({ granted: 16, code: '', retryAt: null, remaining: 84, windowRemaining: null })
    expect(until).toBe(NOW + LEASE_MS)
    expect(heldBy(book.leases)).toBe(16)
  })

  it('grants at most 500 beyond what waits, and all that waits where it is there', () => {
    const rich = bookOf({ ...counting, remaining: 1e6 })
    expect(leased(rich, asking('a', 1, { wanted: 1 })).answer.granted).toBe(501)
    expect(leased(rich, asking('a', 1, { wanted: 2000 })).answer.granted).toBe(2500)
    expect(leased(bookOf(counting), asking('a', 1, { wanted: 1000 })).answer.granted).toBe(100)
  })

  it('grants what both the count and the window admit', () => {
    const both = bookOf({ ...windowed, remaining: 4 })
    expect(leased(both, asking('a', 1, { wanted: 20 })).answer).toMatchObject({
      ...{ granted: 4, remaining: 0, windowRemaining: 6 },
    })
    const narrow = bookOf({ ...windowed, remaining: 40 })
    expect(leased(narrow, asking('a', 1, { wanted: 20 })).answer).toMatchObject({
      ...{ granted: 10, remaining: 30, windowRemaining: 0 },
    })
  })

  it('takes back what is returned, and no more than was held', () => {
    const first = leased(bookOf(counting), asking('a', 1, { wanted: 4 }))
    const used = [{ agoMs: 5, count: 4 }]
    const back = leased(first.book, asking('a', 2, { wanted: 0, used, returned: 12 }))
    expect(back.answer).toMatchObject({ granted: 0, code: '', remaining: 96 })
    expect(heldBy(back.book.leases)).toBe(0)
    expect(thrownBy(() => leased(first.book, asking('a', 2, { used, returned: 13 })))).toEqual(lost)
    expect(thrownBy(() => leased(back.book, asking('a', 3, { returned: 1 })))).toEqual(lost)
  })

  it('lets a holder keep what it has, and go on for ten seconds more', () => {
    const first = leased(bookOf(counting), asking('a', 1, { wanted: 4 }))
    const ask = asking('a', 2, { wanted: 0, used: [{ agoMs: 0, count: 4 }], kept: 12 })
    const kept = leased(first.book, ask, NOW + 5000)
    expect(kept.answer).toMatchObject({ granted: 0, code: '', remaining: 84 })
    expect(kept.until).toBe(NOW + 5000 + LEASE_MS)
    expect(kept.book.leases).toMatchObject([{ held: 12 }])
  })

  it('counts what is neither used, returned nor kept as used', () => {
    const first = leased(bookOf(windowed), asking('a', 1, { wanted: 10 }))
    const after = leased(first.book, asking('a', 2, { wanted: 0 }), NOW + 100)
    expect(after.answer).toMatchObject({ code: 'RATE_LIMITED', retryAt: NOW + 1100, windowRemaining: 0 })
  })

  it('answers the same turn the same again, and takes nothing', () => {
    const first = leased(bookOf(counting), asking('a', 1, { wanted: 4 }))
    const again = leased(first.book, asking('a', 1, { wanted: 4 }), NOW + 3000)
    expect(again).toEqual(first)
  })

  it('does not repeat a "no", which need not be one any more: who did not hear it asks anew', () => {
    const refill = { amount: 5, intervalMs: 60_000, from: NOW - 55_000 }
    const no = leased(bookOf({ ...counting, remaining: 0, refill }), asking('a', 1))
    expect(no.answer.code).toBe('USAGE_EXCEEDED')
    expect(thrownBy(() => leased(no.book, asking('a', 1), NOW + 5000))).toEqual(lost)
    expect(leased(no.book, asking('a', 2), NOW + 5000).answer.granted).toBe(1)
  })

  it('refuses a turn from before, also one whose lease has ended', () => {
    const second = leased(leased(bookOf(counting), asking('a', 1)).book, asking('a', 2, { kept: 13 }))
    expect(thrownBy(() => leased(second.book, asking('a', 1)))).toEqual(lost)
    expect(thrownBy(() => leased(second.book, asking('a', 2), NOW + LEASE_MS))).toEqual(lost)
  })

  it('forfeits a lease that has ended: what is settled then is lost', () => {
    const first = leased(bookOf(counting), asking('a', 1, { wanted: 4 }))
    const late = asking('a', 2, { used: [{ agoMs: 1, count: 4 }], returned: 12 })
    expect(leased(first.book, late, NOW + LEASE_MS - 1).answer.remaining).toBeGreaterThan(80)
    expect(thrownBy(() => leased(first.book, late, NOW + LEASE_MS))).toEqual(lost)
    expect(leased(first.book, asking('a', 2), NOW + LEASE_MS).answer.remaining).toBe(84 - 11)
  })

  it('asks the others before it says that nothing is left', () => {
    const all = leased(bookOf(counting), asking('a', 1, { wanted: 100 }))
    const waits = leaseUses(all.book, asking('b', 1), [], NOW)
    expect(waits).toMatchObject({ holders: ['a'] })
    const back = leased(
      waits.book,
      asking('a', 2, { wanted: 0, returned: 30, used: [{ agoMs: 1, count: 70 }] }),
    )
    expect(leased(back.book, asking('b', 1)).answer).toMatchObject({ granted: 4, code: '' })
  })

  it('settles once where it has to ask the others first', () => {
    const a = leased(bookOf({ ...counting, remaining: 10 }), asking('a', 1, { wanted: 8 }))
    const b = leased(a.book, asking('b', 1, { wanted: 2 }))
    const ask = asking('b', 2, { wanted: 4, returned: 1, used: [{ agoMs: 1, count: 1 }] })
    const some = leased(b.book, ask)
    expect(some.answer).toMatchObject({ granted: 1, remaining: 0 })
    const none = leaseUses(some.book, asking('b', 3, { used: [{ agoMs: 1, count: 1 }] }), [], NOW)
    expect(none.holders).toEqual(['a'])
    const again = leaseUses(none.book, asking('b', 3, { used: [{ agoMs: 1, count: 1 }] }), [], NOW)
    expect(again).toEqual(none)
    const last = leased(again.book, asking('b', 3, { used: [{ agoMs: 1, count: 1 }] }), NOW, ['a'])
    expect(last.answer).toMatchObject({ code: 'USAGE_EXCEEDED', remaining: 0 })
  })

  it('asks nobody where nothing that comes back would help, where the holder has some, nor for a look', () => {
    const full = leased(bookOf(windowed), asking('a', 1, { wanted: 8 }))
    const nine = leased(full.book, asking('b', 1, { wanted: 2 }))
    const usedUp = leased(nine.book, asking('a', 2, { wanted: 0, used: [{ agoMs: 0, count: 8 }] }))
    expect(leased(usedUp.book, asking('c', 1, { wanted: 0 })).answer.code).toBe('')
    expect(leased(usedUp.book, asking('b', 2, { kept: 2 })).answer).toMatchObject({ granted: 0, code: '' })
    const settled = leased(usedUp.book, asking('b', 2, { wanted: 0, used: [{ agoMs: 0, count: 2 }] }))
    expect(leased(settled.book, asking('c', 1)).answer.code).toBe('RATE_LIMITED')
  })

  it('says which of the two is used up, the window first, and when there may be more', () => {
    const refill = { amount: 5, intervalMs: 60_000, from: NOW - 1000 }
    const meter = { ...windowed, remaining: 10, refill }
    const all = leased(bookOf(meter), asking('a', 1, { wanted: 10 }))
    const used = [{ agoMs: 50, count: 10 }]
    expect(leased(all.book, asking('a', 2, { used }), NOW + 60).answer).toMatchObject({
      ...{ code: 'RATE_LIMITED', retryAt: NOW + 1010, remaining: 0, windowRemaining: 0 },
    })
    const later = [{ agoMs: 1000, count: 10 }]
    expect(leased(all.book, asking('a', 2, { used: later }), NOW + 1000).answer).toMatchObject({
      ...{ code: 'USAGE_EXCEEDED', retryAt: NOW + 59_000 },
    })
    const never = leased(bookOf({ ...counting, remaining: 0 }), asking('a', 1))
    expect(never.answer).toMatchObject({ code: 'USAGE_EXCEEDED', retryAt: null })
  })

  it('leases nothing past the next refill, after which nothing of before counts', () => {
    const refill = { amount: 50, intervalMs: 60_000, from: NOW - 55_000 }
    const first = leased(bookOf({ ...counting, refill }), asking('a', 1, { wanted: 90 }))
    expect(first.until).toBe(NOW + 5000)
    const after = leased(first.book, asking('b', 1, { wanted: 0 }), NOW + 5000)
    expect(after.answer.remaining).toBe(50)
    expect(thrownBy(() => leased(after.book, asking('a', 2, { returned: 90 }), NOW + 5000))).toEqual(lost)
  })

  it('leases no more than waits where a refill is near: what is lost by it would count in the window', () => {
    const refill = { amount: 50, intervalMs: 60_000, from: NOW - 57_500 }
    const near = bookOf({ ...windowed, remaining: 90, refill })
    expect(leased(near, asking('a', 1)).answer.granted).toBe(2)
    expect(leased(near, asking('a', 1), NOW + 1).answer.granted).toBe(1)
  })

  it('believes no clock by which a use was before its lease, or is still to come', () => {
    const first = leased(bookOf(windowed), asking('a', 1, { wanted: 10 }))
    const used = [
      { agoMs: 3_600_000, count: 5 },
      { agoMs: -3_600_000, count: 5 },
    ]
    const after = leased(first.book, asking('a', 2, { wanted: 0, used }), NOW + 100)
    expect(after.book.meter.used).toEqual([
      { at: NOW, count: 5 },
      { at: NOW + 100, count: 5 },
    ])
  })

  it('tells once that nothing remains: when the last use is settled', () => {
    const all = leased(bookOf(counting), asking('a', 1, { wanted: 100 }))
    expect(isExhaustedBy(bookOf(counting), all.book)).toBe(false)
    const used = leased(all.book, asking('a', 2, { wanted: 0, used: [{ agoMs: 0, count: 100 }] }))
    expect(isExhaustedBy(all.book, used.book)).toBe(true)
    const again = leased(used.book, asking('a', 3))
    expect(isExhaustedBy(used.book, again.book)).toBe(false)
    expect(isExhaustedBy(bookOf(windowed), bookOf(windowed))).toBe(false)
  })
})

describe('withRemaining', () => {
  const first = leased(bookOf(counting), asking('a', 1, { wanted: 4 }))
  const both = leased(first.book, asking('b', 1, { wanted: 2 }), NOW + 5)
  const used = (count: number) => ({ used: [{ agoMs: 0, count }] })

  it('takes what is leased off what is set, and gives back what is not used of it', () => {
    const set = withRemaining(first.book, 50)
    expect(set.meter).toMatchObject({ remaining: 34, nextRemaining: null })
    expect(excessIn(set)).toEqual([])
    const back = leased(set, asking('a', 2, { wanted: 0, ...used(3), returned: 13 }))
    expect(back.answer).toMatchObject({ remaining: 47 })
    const lost = leased(set, asking('b', 1, { wanted: 0 }), NOW + LEASE_MS)
    expect(lost.answer).toMatchObject({ remaining: 34 })
  })

  it('grants nothing where more is leased than is set, nor makes a lease longer, until all is settled', () => {
    const set = withRemaining(both.book, 5)
    expect(excessIn(set)).toHaveLength(2)
    expect(leaseUses(set, asking('c', 1), [], NOW + 9)).toMatchObject({ holders: ['a', 'b'] })
    const kept = leased(set, asking('a', 2, { wanted: 3, ...used(1), kept: 15 }), NOW + 9)
    expect(kept.answer).toMatchObject({ granted: 0, code: '' })
    expect(kept.until).toBe(NOW + LEASE_MS)
    const half = leased(kept.book, asking('a', 3, { wanted: 0, ...used(15) }), NOW + 10)
    expect(excessIn(half.book)).toMatchObject([{ holder: 'b' }])
    const held = heldBy(half.book.leases)
    const whole = leased(half.book, asking('b', 2, { wanted: 0, ...used(held) }), NOW + 11)
    expect(whole.answer).toMatchObject({ remaining: 5 })
    expect(excessIn(whole.book)).toEqual([])
  })

  it('goes on as soon as what is leased is part of what is set', () => {
    const set = withRemaining(both.book, 20)
    expect(set.meter).toMatchObject({ remaining: expect.any(Number), nextRemaining: 20 })
    const back = leased(set, asking('a', 2, { wanted: 0, ...used(6), returned: 10 }), NOW + 9)
    expect(excessIn(back.book)).toEqual([])
    expect(back.book.meter.nextRemaining).toBeNull()
    expect((back.answer.remaining ?? 0) + heldBy(back.book.leases)).toBe(20 - 6)
  })

  it('waits for what one holds that is not heard of: it may still be used', () => {
    const set = withRemaining(first.book, 5)
    expect(leaseUses(set, asking('b', 1), ['a'], NOW + 9)).toMatchObject({ holders: ['a'] })
    const over = leased(set, asking('b', 1), NOW + LEASE_MS, ['a'])
    expect(over.answer).toMatchObject({ granted: 1, remaining: 4 })
  })

  it('says at once that nothing is left where nothing is set', () => {
    const set = withRemaining(first.book, 0)
    expect(leased(set, asking('b', 1)).answer).toMatchObject({ code: 'USAGE_EXCEEDED' })
    expect(excessIn(set)).toHaveLength(1)
  })

  it('is what a refill does that comes before a lease ends', () => {
    const refill = { amount: 10, intervalMs: 1000, from: NOW }
    const moved = { ...first.book, meter: { ...first.book.meter, refill } }
    const after = leased(moved, asking('b', 1, { wanted: 0 }), NOW + 1000)
    expect(after.book.meter).toMatchObject({ remaining: -6, nextRemaining: 10, lastRefillAt: NOW + 1000 })
  })
})

describe('excessIn', () => {
  it('is what is leased of a window that was made smaller', () => {
    const { book } = leased(bookOf(windowed), asking('a', 1, { wanted: 4 }))
    const narrowed = (max: number) => ({ ...book, meter: { ...book.meter, window: { lengthMs: 1000, max } } })
    expect(excessIn(narrowed(4))).toEqual([])
    expect(excessIn(narrowed(3))).toMatchObject([{ holder: 'a', held: 4 }])
    expect(leased(narrowed(3), asking('a', 2, { kept: 4 }), NOW + 5).until).toBe(NOW + LEASE_MS)
  })
})
