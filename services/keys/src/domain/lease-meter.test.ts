import { describe, expect, it } from 'vitest'
import { type Meter, nextRefillAt, refilled } from './lease-meter.ts'

const meter: Meter = {
  remaining: 3,
  nextRemaining: null,
  refill: { amount: 100, intervalMs: 1000, from: 500 },
  lastRefillAt: null,
  window: null,
  used: [],
}

describe('refilled', () => {
  it('makes up for what was set before', () => {
    expect(refilled({ ...meter, remaining: -7, nextRemaining: 2 }, 1500)).toMatchObject({
      ...{ remaining: 100, nextRemaining: null },
    })
  })

  it('sets what remains when the interval is over, not before', () => {
    expect(refilled(meter, 1499)).toBe(meter)
    expect(refilled(meter, 1500)).toEqual({ ...meter, remaining: 100, lastRefillAt: 1500 })
  })

  it('catches up with whole intervals and does not drift', () => {
    expect(refilled(meter, 4999)).toEqual({ ...meter, remaining: 100, lastRefillAt: 4500 })
    const late = refilled({ ...meter, lastRefillAt: 1500 }, 2999)
    expect(late.lastRefillAt).toBe(2500)
    expect(nextRefillAt(late)).toBe(3500)
  })

  it('sets what remains where more remains, too', () => {
    expect(refilled({ ...meter, remaining: 5000 }, 1500).remaining).toBe(100)
  })

  it('counts from when refills were chosen, where the last one was before', () => {
    const chosen = { ...meter, lastRefillAt: 100, refill: { amount: 1, intervalMs: 1000, from: 5000 } }
    expect(refilled(chosen, 5999)).toBe(chosen)
    expect(refilled(chosen, 6000).lastRefillAt).toBe(6000)
  })

  it('does nothing where there is no refill, or nothing is counted down', () => {
    for (const other of [
      { ...meter, refill: null },
      { ...meter, remaining: null },
    ]) {
      expect(refilled(other, 1e12)).toBe(other)
      expect(nextRefillAt(other)).toBeUndefined()
    }
  })
})
