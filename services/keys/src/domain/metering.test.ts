import { describe, expect, it } from 'vitest'
import { isMetered, type Metered, meteredAsOf, newMetering, refillFrom } from './metering.ts'

const start = new Date('2026-01-01T00:00:00Z')
const after = (ms: number) => new Date(start.getTime() + ms)
const metered = (given: Partial<Metered>): Metered => ({
  ...newMetering({}, start),
  nextRemaining: null,
  lastRefillAt: null,
  leases: [],
  ...given,
})
const refill = { refillAmount: 100, refillInterval: 1000, refillFrom: start }

describe('newMetering', () => {
  it('counts nothing where nothing is said', () => {
    expect(newMetering({}, start)).toEqual({
      rateLimitEnabled: true,
      remaining: null,
      refillAmount: null,
      refillInterval: null,
      refillFrom: null,
      rateLimitTimeWindow: null,
      rateLimitMax: null,
    })
  })

  it('begins full where it is refilled and nothing else is said', () => {
    const given = { refillAmount: 5, refillInterval: 1000 }
    expect(newMetering(given, start)).toMatchObject({ remaining: 5, refillFrom: start })
    expect(newMetering({ ...given, remaining: 0 }, start)).toMatchObject({ remaining: 0 })
  })

  it.each([
    [{ refillAmount: 1 }, 'refill_amount', 'refill_interval'],
    [{ refillInterval: 1000 }, 'refill_interval', 'refill_amount'],
    [{ rateLimitMax: 1 }, 'rate_limit_max', 'rate_limit_time_window'],
    [{ rateLimitTimeWindow: 1 }, 'rate_limit_time_window', 'rate_limit_max'],
  ])('refuses half of a pair: %j', (given, field, missing) => {
    const message = `must not be set without ${missing}`
    expect(() => newMetering(given, start)).toThrowError(
      expect.objectContaining({ reason: 'INVALID_FIELDS', details: { fields: [{ field, message }] } }),
    )
  })
})

describe('isMetered', () => {
  it.each([
    [{}, false],
    [{ remaining: 0 }, true],
    [{ remaining: 0, rateLimitEnabled: false }, true],
    [{ rateLimitMax: 1, rateLimitTimeWindow: 1 }, true],
    [{ rateLimitMax: 1, rateLimitTimeWindow: 1, rateLimitEnabled: false }, false],
    [{ rateLimitEnabled: false }, false],
  ])('%j: %s', (given, is) => expect(isMetered(metered(given))).toBe(is))
})

describe('meteredAsOf', () => {
  const leases = [
    { held: 7, until: after(500).getTime() },
    { held: 3, until: after(501).getTime() },
  ]

  it('counts what is leased as remaining, until its lease is over', () => {
    expect(meteredAsOf(metered({ remaining: 10, leases }), after(499)).remaining).toBe(20)
    expect(meteredAsOf(metered({ remaining: 10, leases }), after(500)).remaining).toBe(13)
    expect(meteredAsOf(metered({ remaining: 10, leases }), after(501)).remaining).toBe(10)
    expect(meteredAsOf(metered({ leases }), start).remaining).toBeNull()
  })

  it('counts no lease twice', () => {
    const once = meteredAsOf(metered({ remaining: 10, leases }), start)
    expect(meteredAsOf(once, start)).toEqual(once)
  })

  it('does the refills that were due, the last of them, and takes leases of before for nothing', () => {
    const key = metered({ remaining: 10, leases, ...refill })
    expect(meteredAsOf(key, after(999))).toMatchObject({ remaining: 10, lastRefillAt: null })
    expect(meteredAsOf(key, after(1000))).toMatchObject({ remaining: 100, lastRefillAt: after(1000) })
    expect(meteredAsOf(key, after(3999))).toMatchObject({ remaining: 100, lastRefillAt: after(3000) })
    const refilled = metered({ remaining: 1, ...refill, lastRefillAt: after(3000) })
    expect(meteredAsOf(refilled, after(3999)).remaining).toBe(1)
  })
})

describe('refillFrom', () => {
  it('is from when the interval was chosen', () => {
    const key = metered(refill)
    expect(refillFrom(key, { ...key, refillAmount: 7 }, after(5))).toEqual(start)
    expect(refillFrom(key, { ...key, refillInterval: 2000 }, after(5))).toEqual(after(5))
    expect(refillFrom(key, { ...key, refillInterval: null }, after(5))).toBeNull()
  })
})
