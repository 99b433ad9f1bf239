import { describe, expect, it } from 'vitest'
import { countOf, freeAt, inWindow, withUses } from './own-window.ts'

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
    expect(withUses(at(5, 9), [{ at: 7, count: 2 }], window)).toEqual([
      ...at(5),
      { at: 7, count: 2 },
      ...at(9),
    ])
    const exact = at(...Array.from({ length: 64 }, (_, i) => i * i))
    expect(withUses([], exact, window)).toEqual(exact)
  })

  it('never has a use leave earlier than it should, nor later by a 96th of the window, whatever merges', () => {
    const random = randomFrom(1)
    for (let round = 0; round < 100; round++) {
      const used: number[] = []
      let moments = withUses([], [], window)
      for (let i = 0; i < 300; i++) {
        const time = random(1000)
        used.push(time)
        moments = withUses(moments, at(time), window)
      }
      expect(moments.length).toBeLessThanOrEqual(97)
      expect(countOf(moments)).toBe(used.length)
      for (let now = 0; now < 2100; now += 7) {
        const still = countOf(inWindow(moments, window, now))
        const inSpan = (lengthMs: number) => used.filter((time) => time + lengthMs > now).length
        expect(still).toBeGreaterThanOrEqual(inSpan(window.lengthMs))
        expect(still).toBeLessThanOrEqual(inSpan(window.lengthMs * (1 + 1 / 96)))
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
