import { describe, expect, it } from 'vitest'
import { regenerationsWith } from './regeneration.ts'

const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1) + minutes * 60_000)

describe('regenerationsWith', () => {
  it('adds now, and forgets what is an hour old', () => {
    expect(regenerationsWith(at(60), [at(0), at(1)], 5)).toEqual([at(1), at(60)])
  })

  it('refuses past the limit, until the oldest in the way is an hour old', () => {
    const earlier = [at(0), at(10), at(20)]
    expect(() => regenerationsWith(at(30), earlier, 3)).toThrow(
      expect.objectContaining({
        reason: 'RATE_LIMITED',
        message: "A tunnel's token can be regenerated 3 times an hour; try again later",
        details: { retryAfterSeconds: 1800, rate: { limit: 3, remaining: 0, resetSeconds: 1800 } },
      }),
    )
    expect(regenerationsWith(at(60), earlier, 3)).toHaveLength(3)
  })

  it('waits for the right one where the limit has been lowered', () => {
    expect(() => regenerationsWith(at(30), [at(0), at(10), at(20)], 1)).toThrow(
      expect.objectContaining({
        message: "A tunnel's token can be regenerated once an hour; try again later",
        details: { retryAfterSeconds: 3000, rate: { limit: 1, remaining: 0, resetSeconds: 3000 } },
      }),
    )
  })
})
