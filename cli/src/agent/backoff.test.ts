import { describe, expect, it } from 'vitest'
import { createBackoff } from './backoff.ts'

const waits = (random: number, count: number) => {
  const backoff = createBackoff(() => random)
  return { backoff, waits: Array.from({ length: count }, () => backoff.next()) }
}

describe('a backoff', () => {
  it('doubles its bound up to ten seconds, and is random below it', () => {
    const most = [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
    expect(waits(1, 8).waits).toEqual(most)
    expect(waits(0.5, 8).waits).toEqual(most.map((ms) => ms / 2))
    expect(waits(0, 8).waits).toEqual(most.map(() => 0))
    expect(waits(1, 5000).waits.at(-1)).toBe(10_000)
  })

  it('begins anew after a connection that stood for ten seconds, and only then', () => {
    const { backoff } = waits(1, 5)
    backoff.stood(9999)
    expect(backoff.next()).toBe(6400)
    backoff.stood(10_000)
    expect(backoff.next()).toBe(200)
  })

  it('lets the first ten moves in a row be made at once, and no more', () => {
    const { backoff } = waits(1, 0)
    const moves = Array.from({ length: 12 }, (_, nth) => backoff.move(nth === 0 ? 10_000 : 9999))
    expect(moves).toEqual([...Array(10).fill(0), 200, 400])
    expect(backoff.move(10_000)).toBe(0)
  })

  it('comes on top of what was asked for', () => {
    expect(createBackoff(() => 1).next(5000)).toBe(5200)
    expect(createBackoff(() => 0).next(5000)).toBe(5000)
  })
})
