import { describe, expect, it } from 'vitest'
import { addMoment, forgetMoments, type Moments, momentAfter, noMoments, removeMoment } from './moments.ts'
import { createSlidingWindows } from './sliding-window.ts'

const MINUTE = 60_000
const START = Date.parse('2026-07-01T12:00:00Z')
const at = (ms: number) => new Date(START + ms)

const sizeOf = ({ times, first }: Moments) => times.length - first
const added = (times: Iterable<number>, windowMs = MINUTE) => {
  const moments = noMoments()
  for (const time of times) addMoment(moments, time, windowMs)
  return moments
}

describe('moments', () => {
  it('hold a thousand as they are, and a million in no more than a thousand numbers', () => {
    const moments = added(Array.from({ length: 1000 }, (_, i) => i * 60))
    expect(sizeOf(moments)).toBe(1000)
    expect(momentAfter(moments, 123)).toBe(123 * 60)

    const many = noMoments()
    let most = 0
    for (let i = 0; i < 1_000_000; i++) {
      addMoment(many, Math.floor((i * MINUTE) / 1_000_000), MINUTE)
      most = Math.max(most, many.times.length)
    }
    expect(many.counted).toBe(1_000_000)
    expect(most).toBeLessThanOrEqual(1000)
  })

  it('merge to the later one, by a five-hundredth of the window at most', () => {
    const times = Array.from({ length: 5000 }, (_, i) => START + i * 11)
    const moments = added(times)
    for (const [before, time] of times.entries()) {
      const counted = momentAfter(moments, before) as number
      expect(counted).toBeGreaterThanOrEqual(time)
      expect(counted).toBeLessThan(time + MINUTE / 500)
    }
    expect(momentAfter(moments, 5000)).toBeUndefined()
  })

  it('leave together where they merged, and count as many as they stand for', () => {
    const moments = added(Array.from({ length: 5000 }, (_, i) => START + i * 11))
    for (let ms = 0; ms <= 5000 * 11; ms += 777) {
      forgetMoments(moments, START + ms)
      const left = Math.min(Math.floor(ms / 11) + 1, 5000)
      expect(moments.counted).toBeGreaterThanOrEqual(5000 - left)
      expect(moments.counted).toBeLessThanOrEqual(5000 - left + 12)
    }
    forgetMoments(moments, START + 5000 * 11)
    expect(moments).toMatchObject({ counted: 0, times: [], calls: undefined })
  })

  it('are taken back one by one, merged or not', () => {
    const times = Array.from({ length: 1500 }, (_, i) => START + i)
    const moments = added(times)
    for (const time of times) removeMoment(moments, time)
    expect(moments.counted).toBe(0)
    expect(sizeOf(moments)).toBe(0)
    removeMoment(moments, START)
    expect(moments.counted).toBe(0)
  })
})

describe('a window past a thousand calls', () => {
  it('never admits more than its limit in any span, and hardly fewer', () => {
    const [limit, windowMs] = [3000, 10_000]
    const windows = createSlidingWindows(windowMs)
    const admitted: number[] = []
    for (let ms = 0; ms < 60_000; ms++) {
      const calls = ms % 7 === 0 ? 4 : 1
      for (let i = 0; i < calls; i++) if (windows.take('a', limit, at(ms)).admitted) admitted.push(ms)
    }
    let from = 0
    for (const [to, ms] of admitted.entries()) {
      while ((admitted[from] as number) <= ms - windowMs) from++
      expect(to - from + 1).toBeLessThanOrEqual(limit)
    }
    // Six windows, each a five-hundredth late at most.
    expect(admitted.length).toBeGreaterThan(6 * limit * 0.99)
  })

  it('tells when a place is free, and is right', () => {
    const windows = createSlidingWindows(MINUTE)
    for (let i = 0; i < 5000; i++) windows.take('a', 5000, at(i * 5))
    const { admitted, resetSeconds } = windows.take('a', 5000, at(30_000))
    expect({ admitted, resetSeconds }).toEqual({ admitted: false, resetSeconds: 31 })
    // After the limit was lowered too: the 4,001st of the 5,000 must leave.
    expect(windows.look('a', 1000, at(30_000)).resetSeconds).toBeGreaterThanOrEqual(50)
    expect(windows.take('a', 5000, at(30_000 + resetSeconds * 1000)).admitted).toBe(true)
  })
})
