import { describe, expect, it } from 'vitest'
import { createSlidingWindows } from './domain/sliding-window.ts'
import { createUnknownLane } from './unknown-lane.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const AUTH = 1
const LIMIT = AUTH * 10

/** A lane, with addresses that have guessed as often as they may, and look-ups that end when they are told to. */
function guessedFrom(...addresses: string[]) {
  const clock = { now: NOW }
  const windows = createSlidingWindows(60_000)
  for (const address of addresses)
    for (let i = 0; i < LIMIT; i++) windows.take(`invalid:${address}`, LIMIT, NOW)
  const lane = createUnknownLane({ windows, limits: { auth: AUTH }, now: () => clock.now })
  const lookUps: PromiseWithResolvers<string>[] = []
  const begin = () => {
    const lookUp = Promise.withResolvers<string>()
    lookUps.push(lookUp)
    return lookUp.promise
  }
  return {
    clock,
    windows,
    begun: lookUps,
    /** Asks from an address; what came of it is known at the end of the turn. */
    ask: (address: string | undefined) => {
      const asked = lane.lookUp(address, begin)
      asked.catch(() => {})
      return asked
    },
    end: () => {
      for (const { resolve } of lookUps.splice(0)) resolve('found')
    },
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const tooMany = {
  name: 'LaneFull',
  refusal: {
    reason: 'RATE_LIMITED',
    message: 'API rate limit exceeded',
    details: { retryAfterSeconds: 60, rate: { limit: LIMIT, remaining: 0, resetSeconds: 60 } },
  },
}

describe('createUnknownLane', () => {
  it('is as wide as is asked for to whoever has not guessed too often', async () => {
    const lane = guessedFrom('203.0.113.7')
    const asked = Array.from({ length: 50 }, (_, i) => lane.ask(i % 2 ? '203.0.113.8' : undefined))
    await turn()
    expect(lane.begun).toHaveLength(50)
    lane.end()
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['found']))
  })

  it('looks up four at once for an address that has, and refuses more at once', async () => {
    const lane = guessedFrom('203.0.113.7')
    const asked = Array.from({ length: 10 }, () => lane.ask('203.0.113.7'))
    await turn()
    expect(lane.begun).toHaveLength(4)
    for (const late of asked.slice(4)) await expect(late).rejects.toMatchObject(tooMany)
    lane.end()
    expect(await Promise.all(asked.slice(0, 4))).toEqual(Array(4).fill('found'))
  })

  it('looks up four at once for all of them, and no flood of others keeps an address from its turn', async () => {
    const flood = Array.from({ length: 100 }, (_, n) => `198.51.${n}.1`)
    const lane = guessedFrom('203.0.113.7', ...flood)
    const asked = flood.flatMap((address) => Array.from({ length: 10 }, () => lane.ask(address)))
    const own = lane.ask('203.0.113.7')
    await turn()
    const heard = await Promise.allSettled([...asked.map((each) => Promise.race([each, 'waits']))])
    expect(heard.filter(({ status }) => status === 'rejected')).toHaveLength(600)
    // It comes after what the others have in the lane, and that is bounded.
    for (let round = 0; round < 100; round++) {
      expect(lane.begun).toHaveLength(4)
      lane.end()
      await turn()
    }
    expect(lane.begun).toHaveLength(1)
    lane.end()
    expect(await own).toBe('found')
  })

  it('has a share for neighbours together, and is bounded in all', async () => {
    const near = Array.from({ length: 10 }, (_, n) => `203.0.113.${n}`)
    const far = Array.from({ length: 200 }, (_, n) => `198.51.${n}.1`)
    const lane = guessedFrom(...near, ...far)
    const refusedOf = async (addresses: readonly string[]) => {
      const asked = addresses.flatMap((address) => Array.from({ length: 4 }, () => lane.ask(address)))
      await turn()
      const heard = await Promise.allSettled(asked.map((each) => Promise.race([each, 'waits'])))
      return heard.filter(({ status }) => status === 'rejected').length
    }
    expect(await refusedOf(near)).toBe(40 - 16)
    expect(await refusedOf(far)).toBe(800 - (512 - 16))
    for (let round = 0; round < 512 / 4; round++) {
      lane.end()
      await turn()
    }
    expect(await refusedOf(near)).toBe(40 - 16)
  })

  it('has room again when a look-up has ended, also where it failed', async () => {
    const lane = guessedFrom('203.0.113.7')
    for (let round = 0; round < 3; round++) {
      const asked = Array.from({ length: 5 }, () => lane.ask('203.0.113.7'))
      await turn()
      expect(lane.begun, `round ${round}`).toHaveLength(4)
      for (const { reject } of lane.begun.splice(0)) reject(new Error('keys is away'))
      for (const one of asked.slice(0, 4)) await expect(one).rejects.toThrow('keys is away')
    }
  })

  it('counts nothing itself, and is wide again when the guesses have left the window', async () => {
    const lane = guessedFrom('203.0.113.7')
    for (let i = 0; i < 100; i++) lane.ask('203.0.113.7')
    await turn()
    lane.clock.now = new Date(NOW.getTime() + 60_000)
    expect(lane.windows.look('invalid:203.0.113.7', LIMIT, lane.clock.now).remaining).toBe(LIMIT)
    for (let i = 0; i < 20; i++) lane.ask('203.0.113.7')
    await turn()
    expect(lane.begun).toHaveLength(4 + 20)
    lane.end()
  })

  it('knows an IPv6 client by its /64', async () => {
    const lane = guessedFrom('2001:db8::/64')
    const asked = Array.from({ length: 5 }, (_, i) => lane.ask(`2001:db8::${i + 1}`))
    await turn()
    expect(lane.begun).toHaveLength(4)
    await expect(asked[4]).rejects.toMatchObject(tooMany)
    lane.end()
  })
})
