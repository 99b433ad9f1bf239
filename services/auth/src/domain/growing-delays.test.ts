import { describe, expect, it } from 'vitest'
import { createGrowingDelays } from './growing-delays.ts'

const START = Date.parse('2026-07-01T12:00:00Z')
const at = (ms: number) => new Date(START + ms)
const HOUR = 60 * 60 * 1000

/** Tries every so often for a time, and tells when it was admitted. */
function tryEvery(everyMs: number, forMs: number, delays = createGrowingDelays()): number[] {
  const admitted: number[] = []
  for (let time = 0; time < forMs; time += everyMs)
    if (delays.take('email:a', 30, at(time)).admitted) admitted.push(time)
  return admitted
}

describe('growing delays', () => {
  it('admit as many at once as the limit, then after a second, two, four, up to a minute', () => {
    const delays = createGrowingDelays()
    for (let n = 1; n <= 3; n++)
      expect(delays.take('a', 3, at(0))).toEqual({
        admitted: true,
        limit: 3,
        remaining: 3 - n,
        resetSeconds: 1,
      })
    let time = 0
    // Half a minute later half an attempt is forgotten.
    for (const seconds of [1, 2, 4, 8, 16, 32, 32, 60, 60]) {
      const wait = { admitted: false, limit: 3, remaining: 0, resetSeconds: seconds }
      expect(delays.take('a', 3, at(time))).toEqual(wait)
      expect(delays.look('a', 3, at(time))).toEqual(wait)
      time += seconds * 1000
      expect(delays.take('a', 3, at(time - 1))).toMatchObject({ admitted: false, resetSeconds: 1 })
      expect(delays.look('a', 3, at(time)).admitted).toBe(true)
      expect(delays.take('a', 3, at(time)).admitted).toBe(true)
    }
  })

  it('bound what the most stubborn get: fewer than 100 in the first hour, 60 in each that follows', () => {
    const admitted = tryEvery(125, 5 * HOUR)
    const inHour = (hour: number) => admitted.filter((time) => Math.floor(time / HOUR) === hour).length
    expect(inHour(0)).toBeGreaterThan(90)
    expect(inHour(0)).toBeLessThan(100)
    for (const hour of [1, 2, 3, 4]) expect(inHour(hour)).toBeLessThanOrEqual(60)
  })

  it('forget an attempt a minute', () => {
    const delays = createGrowingDelays()
    for (let n = 0; n < 3; n++) delays.take('a', 3, at(0))
    for (let n = 0; n < 2; n++) expect(delays.take('a', 3, at(120_000)).admitted).toBe(true)
    expect(delays.take('a', 3, at(120_000)).admitted).toBe(false)
  })

  it('count each subject by itself, and a refusal not at all', () => {
    const delays = createGrowingDelays()
    for (let n = 0; n < 1000; n++) delays.take('a', 1, at(0))
    expect(delays.take('b', 1, at(0)).admitted).toBe(true)
    expect(delays.take('a', 1, at(1000)).admitted).toBe(true)
  })

  it('take an attempt back, with the delay where none is past the limit any more', () => {
    const delays = createGrowingDelays()
    for (let n = 0; n < 100; n++) {
      expect(delays.take('a', 1, at(n)).admitted).toBe(true)
      delays.giveBack('a', at(n))
    }
    delays.giveBack('never seen', at(0))
    delays.take('a', 1, at(100))
    expect(delays.take('a', 1, at(1100)).admitted).toBe(true)
    delays.giveBack('a', at(1100))
    expect(delays.take('a', 1, at(1101)).admitted).toBe(false)
  })

  it('forget nobody for attempts that are taken back, of however many subjects', () => {
    const delays = createGrowingDelays()
    delays.take('a', 1, at(0))
    for (let n = 0; n < 100_001; n++) {
      delays.take(`made up ${n}`, 30, at(0))
      delays.giveBack(`made up ${n}`, at(0))
    }
    expect(delays.take('a', 1, at(1)).admitted).toBe(false)
  })

  it('are not shortened by a clock that is set back', () => {
    const delays = createGrowingDelays()
    delays.take('a', 1, at(HOUR))
    expect(delays.take('a', 1, at(0)).admitted).toBe(false)
    expect(delays.take('a', 1, at(1000)).admitted).toBe(true)
  })
})
