import { freshDatabase } from '@instatunnel/test/database'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Clock, databaseTime, watchClock } from './clock.ts'
import { createLog } from './log.ts'
import { connectPostgres } from './postgres.ts'

/** A clock that is ahead of the database's, and what is said of it. */
async function setUp(aheadMs: number) {
  const sql = connectPostgres({ url: await freshDatabase(), schema: 'auth', connections: 2 })
  const logged: string[] = []
  const log = createLog('auth', 'info', { write: (line: string) => void logged.push(line) })
  const state = { aheadMs, isReady: undefined as boolean | undefined }
  const wallClock = () => new Date(Date.now() + state.aheadMs)
  const clock: Clock = watchClock({ readTime: () => databaseTime(sql), log, wallClock, everyMs: 10 })
  await clock.isExact()
  onTestFinished(async () => {
    await clock.close()
    await sql.end({ timeout: 1 })
  })
  clock.follow((told) => {
    state.isReady = told !== 'wrong'
  })
  const said = () => logged.map((line) => JSON.parse(line))
  return { clock, state, sql, said }
}

describe('watchClock', () => {
  it('says nothing of a clock that is right', async () => {
    const { clock, state, said } = await setUp(0)
    expect(await clock.isExact()).toBe(true)
    expect(clock.isReady()).toBe(true)
    expect(state.isReady).toBe(true)
    expect(said()).toEqual([])
  })

  it.each([6000, -25_000])(
    'says that a clock which is off by %i ms is, and is ready all the same',
    async (ms) => {
      const { clock, said } = await setUp(ms)
      expect(await clock.isExact()).toBe(false)
      expect(clock.isReady()).toBe(true)
      const skewSeconds = expect.closeTo(ms / 1000, -1)
      expect(said()).toMatchObject([
        { level: 'warn', skewSeconds, msg: "the clock differs from the database's" },
      ])
    },
  )

  it.each([80 * 86_400_000, -40_000])(
    'is not ready with a clock that is off by %i ms, until it is right',
    async (ms) => {
      const { clock, state, said } = await setUp(ms)
      expect(clock.isReady()).toBe(false)
      expect(state.isReady).toBe(false)
      expect(await clock.isExact()).toBe(false)
      expect(said()).toMatchObject([
        { level: 'error', msg: "not ready: the clock differs from the database's" },
      ])
      state.aheadMs = 0
      await expect.poll(() => state.isReady).toBe(true)
      expect(clock.isReady()).toBe(true)
      expect(said().at(-1)).toMatchObject({
        level: 'info',
        msg: "the clock agrees with the database's again",
      })
    },
  )

  it('notices a clock that goes wrong while it runs', async () => {
    const { state } = await setUp(0)
    state.aheadMs = 60_000
    await expect.poll(() => state.isReady).toBe(false)
  })

  it.each([80 * 86_400_000, -40_000])(
    'is not ready from the moment that the clock jumps by %i ms until they are compared, and tells the right time all along',
    async (ms) => {
      const { clock, state } = await setUp(0)
      const isRight = () => Math.abs(clock.now().getTime() - Date.now()) < 5000
      expect(clock.isReady()).toBe(true)
      state.aheadMs = ms
      expect([clock.isReady(), isRight()]).toEqual([false, true])
      await expect.poll(() => state.isReady).toBe(false)
      expect(isRight()).toBe(true)
      state.aheadMs = 0
      expect([clock.isReady(), isRight()]).toEqual([false, true])
      await expect.poll(() => clock.isReady()).toBe(true)
      expect(isRight()).toBe(true)
    },
  )

  it.each([20_000, -20_000])('tells the database’s time by a clock that is off by %i ms', async (ms) => {
    const { clock, sql } = await setUp(ms)
    const before = await databaseTime(sql)
    const now = clock.now().getTime()
    // By how long the comparison took it may still differ.
    expect(now - before).toBeGreaterThan(-5000)
    expect(now - before).toBeLessThan(5000)
    expect(clock.state()).toBe('off')
  })

  it('goes on by what it knows where the database is away', async () => {
    const { clock, sql } = await setUp(40_000)
    await sql.end({ timeout: 1 })
    await expect(clock.isExact()).rejects.toThrow()
    expect(clock.isReady()).toBe(false)
  })
})
