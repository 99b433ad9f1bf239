import { describe, expect, it } from 'vitest'
import { countOf, freeAt, inWindow, MOMENTS_MAX, withUses } from './own-window.ts'

const window = { lengthMs: 1000, max: 3 }
const at = (...times: number[]) => times.map((time) => ({ at: time, count: 1 }))

describe('inWindow', () => {
  it('keeps a use for the length of the window, and not a millisecond longer', () => {
    expect(inWindow(at(0, 1), window, 999)).toEqual(at(0, 1))
    expect(inWindow(at(0, 1), window, 1000)).toEqual(at(1))
    expect(inWindow(at(0, 1), window, 1001)).toEqual([])
  })
})

describe('withUses', () => {
  it('keeps moments in order, and forgets none of at most 64', () => {
    expect(withUses(at(5, 9), [{ at: 7, count: 2 }])).toEqual([...at(5), { at: 7, count: 2 }, ...at(9)])
    const exact = at(...Array.from({ length: MOMENTS_MAX }, (_, i) => i * i))
    expect(withUses([], exact)).toEqual(exact)
  })

  it('merges those nearest to each other into the later one', () => {
    const exact = at(...Array.from({ length: MOMENTS_MAX }, (_, i) => i * 10))
    const merged = withUses(exact, at(404))
    expect(merged).toHaveLength(MOMENTS_MAX)
    expect(merged).toContainEqual({ at: 404, count: 2 })
    expect(merged).not.toContainEqual({ at: 400, count: 1 })
  })

  it('never has a use leave earlier than it should, whatever merges', () => {
    const random = randomFrom(1)
    for (let round = 0; round < 100; round++) {
      const used: number[] = []
      let moments = withUses([], [])
      for (let i = 0; i < 300; i++) {
        const time = random(10_000)
        used.push(time)
        moments = withUses(moments, at(time))
      }
      expect(moments.length).toBeLessThanOrEqual(MOMENTS_MAX)
      expect(countOf(moments)).toBe(used.length)
      for (let now = 0; now < 10_000; now += 500) {
        const still = countOf(inWindow(moments, window, now))
        expect(still).toBeGreaterThanOrEqual(used.filter((time) => time + window.lengthMs > now).length)
      }
    }
  })
})

describe('freeAt', () => {
  it('is when enough has left for one more', () => {
    expect(freeAt(at(0, 10, 20), window, 100)).toBe(1000)
    expect(freeAt([...at(0), { at: 10, count: 3 }, ...at(20)], window, 100)).toBe(1010)
    expect(freeAt(at(0, 10), window, 100)).toBe(100)
  })
})

function randomFrom(seed: number) {
  let state = seed
  return (below: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}
