import { describe, expect, it } from 'vitest'
import { isDueBack, isLow, isNothing, noLease, park, renew, settle, useOne, wantedOf } from './lease-held.ts'

const NOW = 1_000_000

/** A lease of so many, just granted. */
function leaseOf(granted: number, rest: object = {}) {
  const lease = noLease()
  renew(lease, { granted, validForMs: 10_000, ...rest }, NOW)
  return lease
}

describe('a lease', () => {
  it('is used up to its end, counted from when it was asked for', () => {
    const lease = leaseOf(2)
    expect(useOne(lease, NOW + 9999)).toBe(true)
    expect(useOne(lease, NOW + 10_000)).toBe(false)
    expect(useOne(lease, NOW + 9999)).toBe(true)
    expect(useOne(lease, NOW + 9999)).toBe(false)
  })

  it('says once what was used, what goes back and what is kept', () => {
    const lease = leaseOf(10)
    for (let i = 0; i < 3; i++) useOne(lease, NOW + 5)
    expect(settle(lease, NOW + 5)).toEqual({ used: { times: [NOW + 5], counts: [3] }, returned: 0, kept: 7 })
    park(lease)
    expect(settle(lease, NOW + 6)).toEqual({ used: { times: [], counts: [] }, returned: 7, kept: 0 })
    expect(isNothing(lease)).toBe(true)
  })

  it('says nothing of what has ended: that is counted as used', () => {
    const lease = leaseOf(10)
    useOne(lease, NOW)
    expect(settle(lease, NOW + 10_000)).toEqual({ used: { times: [], counts: [] }, returned: 0, kept: 0 })
    expect(isNothing(lease)).toBe(true)
  })

  it('is low when a quarter is left, and never where that is not worth asking', () => {
    const lease = leaseOf(8)
    const lowAt = Array.from({ length: 8 }, () => useOne(lease, NOW) && isLow(lease))
    expect(lowAt).toEqual([...Array(5).fill(false), true, true, false])
    const small = leaseOf(3)
    expect(Array.from({ length: 3 }, () => useOne(small, NOW) && isLow(small))).not.toContain(true)
  })

  it('goes back when it was idle for two seconds, and before it ends', () => {
    const lease = leaseOf(10)
    expect(isDueBack(lease, NOW + 1999)).toBe(false)
    expect(isDueBack(lease, NOW + 2000)).toBe(true)
    useOne(lease, NOW + 2000)
    expect(isDueBack(lease, NOW + 3999)).toBe(false)
    useOne(lease, NOW + 8499)
    expect(isDueBack(lease, NOW + 8499)).toBe(false)
    expect(isDueBack(lease, NOW + 8500)).toBe(true)
  })

  it('asks for what waits, and for what steady use needs soon, of an eighth of what is there', () => {
    expect(wantedOf(noLease(), 0, NOW)).toBe(1)
    expect(wantedOf(noLease(), 7, NOW)).toBe(7)
    const busy = (remaining: number) => {
      const lease = leaseOf(500, { remaining })
      for (let i = 0; i < 400; i++) useOne(lease, NOW + i / 10)
      return (ms: number) => wantedOf(lease, 2, NOW + ms)
    }
    expect(busy(1_000_000)(40)).toBe(1002)
    expect(busy(1_000_000)(1)).toBe(1602)
    expect(busy(800)(40)).toBe(102)
    expect(busy(0)(40)).toBe(2)
  })
})
