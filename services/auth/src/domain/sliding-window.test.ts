import { describe, expect, it } from 'vitest'
import { createSlidingWindows } from './sliding-window.ts'

const START = Date.parse('2026-07-01T12:00:00Z')
const at = (ms: number) => new Date(START + ms)

describe('createSlidingWindows', () => {
  it('admits up to the limit, says what is left, and refuses past it', () => {
    const windows = createSlidingWindows(60_000)
    expect(windows.take('a', 3, at(0))).toEqual({ admitted: true, limit: 3, remaining: 2, resetSeconds: 60 })
    expect(windows.take('a', 3, at(10_000))).toEqual({
      admitted: true,
      limit: 3,
      remaining: 1,
      resetSeconds: 50,
    })
    expect(windows.take('a', 3, at(20_000))).toMatchObject({ admitted: true, remaining: 0 })
    expect(windows.take('a', 3, at(20_001))).toEqual({
      admitted: false,
      limit: 3,
      remaining: 0,
      resetSeconds: 40,
    })
  })

  it('frees each place exactly when its call leaves the window, and not a millisecond before', () => {
    const windows = createSlidingWindows(60_000)
    for (const ms of [0, 30_000]) windows.take('a', 2, at(ms))
    expect(windows.take('a', 2, at(59_999)).admitted).toBe(false)
    expect(windows.take('a', 2, at(60_000)).admitted).toBe(true)
    expect(windows.take('a', 2, at(60_000)).admitted).toBe(false)
    expect(windows.take('a', 2, at(89_999)).admitted).toBe(false)
    expect(windows.take('a', 2, at(90_000)).admitted).toBe(true)
  })

  it('counts no refusal: who keeps asking is admitted no later', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('a', 1, at(0))
    for (let ms = 1; ms < 60_000; ms += 100) expect(windows.take('a', 1, at(ms)).admitted).toBe(false)
    expect(windows.take('a', 1, at(60_000)).admitted).toBe(true)
  })

  it('counts subjects apart', () => {
    const windows = createSlidingWindows(60_000)
    expect(windows.take('read:a', 1, at(0)).admitted).toBe(true)
    expect(windows.take('read:b', 1, at(0)).admitted).toBe(true)
    expect(windows.take('write:a', 1, at(0)).admitted).toBe(true)
    expect(windows.take('read:a', 1, at(0)).admitted).toBe(false)
  })

  it('says when a place is free, so that a caller who waits so long is admitted', () => {
    const windows = createSlidingWindows(60_000)
    for (const ms of [0, 1, 2]) windows.take('a', 3, at(ms))
    const { resetSeconds } = windows.take('a', 3, at(12_345))
    expect(windows.take('a', 3, at(12_345 + resetSeconds * 1000)).admitted).toBe(true)
    expect(resetSeconds).toBe(48)
  })

  it('says so too after the limit was lowered', () => {
    const windows = createSlidingWindows(60_000)
    for (let ms = 0; ms < 10_000; ms += 1000) windows.take('a', 10, at(ms))
    const { admitted, remaining, resetSeconds } = windows.take('a', 3, at(10_000))
    expect({ admitted, remaining }).toEqual({ admitted: false, remaining: 0 })
    // Of the ten, eight must leave: the eighth came at 7 s.
    expect(resetSeconds).toBe(57)
    expect(windows.take('a', 3, at(66_999)).admitted).toBe(false)
    expect(windows.take('a', 3, at(67_000)).admitted).toBe(true)
  })

  it('admits more at once after the limit was raised', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('a', 1, at(0))
    expect(windows.take('a', 5, at(1))).toMatchObject({ admitted: true, remaining: 3 })
  })

  it('never admits more than the limit in any span of the window, whatever the traffic', () => {
    // A small generator of its own, so that a failure can be repeated.
    let state = 1
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647
      return state % below
    }
    for (let round = 0; round < 200; round++) {
      const [windowMs, limit] = [1 + random(2000), 1 + random(30)]
      const windows = createSlidingWindows(windowMs)
      const admitted: number[] = []
      let asked = 0
      for (let ms = 0; asked < 500; asked++) {
        ms += random(4) === 0 ? random(windowMs * 2) : random(1 + Math.ceil(windowMs / limit))
        if (windows.take('a', limit, at(ms)).admitted) admitted.push(ms)
        else {
          // It was right to refuse: the window that ends now is full.
          expect(admitted.filter((time) => time > ms - windowMs)).toHaveLength(limit)
        }
      }
      for (const from of admitted) {
        const inSpan = admitted.filter((time) => time >= from && time < from + windowMs)
        expect(inSpan.length, `window ${windowMs}, limit ${limit}`).toBeLessThanOrEqual(limit)
      }
    }
  })

  it('looks without counting: what it says is what a take would be answered', () => {
    const windows = createSlidingWindows(60_000)
    expect(windows.look('a', 2, at(0))).toEqual({ admitted: true, limit: 2, remaining: 2, resetSeconds: 60 })
    windows.take('a', 2, at(0))
    for (let i = 0; i < 10; i++)
      expect(windows.look('a', 2, at(10_000))).toEqual({
        admitted: true,
        limit: 2,
        remaining: 1,
        resetSeconds: 50,
      })
    windows.take('a', 2, at(10_000))
    expect(windows.look('a', 2, at(20_000))).toEqual(windows.take('a', 2, at(20_000)))
    expect(windows.look('a', 2, at(60_000)).admitted).toBe(true)
  })

  it('gives a take back as if it had never been', () => {
    const windows = createSlidingWindows(60_000)
    for (const ms of [0, 1000, 2000]) windows.take('a', 3, at(ms))
    expect(windows.take('a', 3, at(3000)).admitted).toBe(false)
    windows.giveBack('a', at(1000))
    expect(windows.take('a', 3, at(3000))).toMatchObject({ admitted: true, remaining: 0 })
    // The others leave when they always would have.
    expect(windows.take('a', 3, at(59_999)).admitted).toBe(false)
    expect(windows.take('a', 3, at(60_000)).admitted).toBe(true)
    expect(windows.take('a', 3, at(61_999)).admitted).toBe(false)
    expect(windows.take('a', 3, at(62_000)).admitted).toBe(true)
  })

  it('gives back nothing that was not taken, or has left, or is another’s', () => {
    const windows = createSlidingWindows(60_000)
    windows.giveBack('a', at(0))
    windows.take('a', 1, at(30_000))
    windows.giveBack('b', at(30_000))
    windows.giveBack('a', at(31_000))
    expect(windows.take('a', 1, at(32_000)).admitted).toBe(false)
    windows.take('a', 2, at(80_000))
    windows.look('a', 2, at(90_000))
    windows.giveBack('a', at(30_000))
    expect(windows.look('a', 2, at(90_000)).remaining).toBe(1)
  })

  it('lets nobody in earlier, nor keeps anybody out for longer, by what was given back', () => {
    const windows = createSlidingWindows(60_000)
    for (let ms = 0; ms < 50_000; ms += 1000) windows.take('a', 50, at(ms))
    // Full; then a great many calls that something else refuses.
    for (let ms = 60_000; ms < 70_000; ms += 10) {
      if (windows.take('a', 50, at(ms)).admitted) windows.giveBack('a', at(ms))
    }
    // Eleven have left by then, and nothing came in their place.
    expect(windows.look('a', 50, at(70_000))).toMatchObject({ remaining: 11, resetSeconds: 1 })
    expect(windows.look('a', 50, at(109_000))).toMatchObject({ remaining: 50 })
  })

  it('forgets, past so many subjects, those that were not seen for longest', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('first', 1, at(0))
    windows.take('kept', 1, at(0))
    for (let i = 0; i < 250_000; i++) {
      windows.take(`a${i}`, 1, at(1))
      if (i % 50_000 === 0) windows.look('kept', 1, at(1))
    }
    expect(windows.look('kept', 1, at(2)).admitted).toBe(false)
    expect(windows.look('a249999', 1, at(2)).admitted).toBe(false)
    expect(windows.look('first', 1, at(2)).admitted).toBe(true)
  })

  it('remembers a window to its end, however many rounds its subjects have gone', () => {
    const windows = createSlidingWindows(1000)
    for (let round = 0; round < 50; round++) {
      const ms = round * 700
      const admitted = windows.take('a', 1, at(ms)).admitted
      expect(admitted, `at ${ms}`).toBe(round % 2 === 0)
    }
  })
})

describe('windows under a clock that is set back', () => {
  const HOUR = 3_600_000

  it('keep nobody out for longer than they last, and admit no more for it', () => {
    const windows = createSlidingWindows(60_000)
    for (const ms of [0, 30_000]) windows.take('a', 2, at(ms))
    expect(windows.take('a', 2, at(-HOUR))).toMatchObject({ admitted: false, resetSeconds: 30 })
    expect(windows.take('a', 2, at(-HOUR + 29_999)).admitted).toBe(false)
    expect(windows.take('a', 2, at(-HOUR + 30_000))).toMatchObject({ admitted: true, resetSeconds: 30 })
    expect(windows.take('a', 2, at(-HOUR + 30_000))).toMatchObject({ admitted: false, resetSeconds: 30 })
    expect(windows.take('a', 2, at(-HOUR + 60_000)).admitted).toBe(true)
  })

  it('count so also those whom they did not see since', () => {
    const windows = createSlidingWindows(60_000)
    for (const subject of ['a', 'b']) windows.take(subject, 1, at(0))
    windows.take('a', 1, at(-HOUR))
    expect(windows.take('b', 1, at(-HOUR + 59_999)).admitted).toBe(false)
    expect(windows.take('b', 1, at(-HOUR + 60_000)).admitted).toBe(true)
  })

  it('tell the same to who looks and to who calls, also where a look is the first to see it', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('a', 1, at(0))
    expect(windows.look('a', 1, at(-HOUR))).toMatchObject({ admitted: false, resetSeconds: 60 })
    expect(windows.look('a', 1, at(-HOUR + 60_000))).toEqual(windows.look('b', 1, at(-HOUR + 60_000)))
  })

  it('give back what is taken after it', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('a', 2, at(0))
    windows.take('a', 2, at(-HOUR))
    windows.giveBack('a', at(-HOUR))
    expect(windows.look('a', 2, at(-HOUR))).toMatchObject({ remaining: 1 })
    expect(windows.look('a', 2, at(-HOUR + 60_000))).toMatchObject({ remaining: 2 })
  })

  it('give nothing back of what was taken before it: that leaves by itself', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('a', 2, at(0))
    windows.take('a', 2, at(-HOUR))
    windows.giveBack('a', at(0))
    expect(windows.look('a', 2, at(-HOUR))).toMatchObject({ remaining: 0, resetSeconds: 60 })
    expect(windows.look('a', 2, at(-HOUR + 60_000))).toMatchObject({ remaining: 2 })
  })

  it('forget as many subjects as ever', () => {
    const windows = createSlidingWindows(60_000)
    windows.take('first', 1, at(0))
    for (let i = 0; i < 250_000; i++) windows.take(`a${i}`, 1, at(-i))
    expect(windows.look('first', 1, at(-250_000)).admitted).toBe(true)
    expect(windows.look('a249999', 1, at(-250_000)).admitted).toBe(false)
  })

  it('hold their limit in any span of real time, and their word, however often it is set back and how far', () => {
    let state = 7
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647
      return state % below
    }
    for (let round = 0; round < 200; round++) {
      const [windowMs, limit] = [1000 + random(2000), 1 + random(30)]
      const windows = createSlidingWindows(windowMs)
      const admitted: number[] = []
      let real = 0
      let setBack = 0
      for (let asked = 0; asked < 500; asked++) {
        real += random(1 + Math.ceil((windowMs * 2) / limit))
        if (random(20) === 0) setBack += random(3) === 0 ? random(HOUR) : random(20)
        const taken = windows.take('a', limit, at(real - setBack))
        expect(taken.resetSeconds).toBeLessThanOrEqual(Math.ceil(windowMs / 1000))
        if (taken.admitted) admitted.push(real)
        else if (random(4) === 0) {
          real += taken.resetSeconds * 1000
          expect(windows.take('a', limit, at(real - setBack)).admitted).toBe(true)
          admitted.push(real)
        }
      }
      for (const from of admitted) {
        const inSpan = admitted.filter((time) => time >= from && time < from + windowMs)
        expect(inSpan.length, `window ${windowMs}, limit ${limit}`).toBeLessThanOrEqual(limit)
      }
    }
  })
})
