import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { untilHeard } from '../../keys/test/holders.ts'
import { made } from '../../keys/test/made.ts'
import { startKeys } from '../../keys/test/start-keys.ts'
import { admittedOf, startHolder } from '../test/key-holders.ts'
import { away } from '../test/key-uses.ts'
import type { Taken } from './domain/key-use.ts'
import type { LeaseClient } from './lease-exchange.ts'

/** Replicas of auth and of keys on real Postgres and NATS, each in this process; a clock that only a test moves on. */

let ahead = 0
const now = () => new Date(Date.now() + ahead)
const nats = await freshNats()
const start = (settings = {}) =>
  startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys, ...settings }, { now })
const first = await start()
const { DATABASE_URL = '' } = first.environment
const second = await start({ DATABASE_URL })
const admin = first.user({ role: 'admin' })
afterAll(() => Promise.all([first.close(), second.close()]))

/** Both replicas of keys, asked in turn. */
function inTurn(): LeaseClient {
  let calls = 0
  const next = () => (calls++ % 2 === 0 ? first : second).directory
  return {
    leaseUses: (request) => next().leaseUses(request),
    settleUses: (request) => next().settleUses(request),
  }
}
const holder = (keys = inTurn()) => startHolder({ nats, keys, now })
type Holder = ReturnType<typeof holder>

const keyWith = async (fields: object) => (await made(admin, fields)).id
const remainingOf = async (id: string) => (await admin.getKey({ id })).remaining
/** Resolves when both replicas of keys know that these live. */
const heard = (holders: readonly Holder[]) =>
  Promise.all(
    [first, second].flatMap((keys) =>
      holders.map(({ take, recalled }) =>
        untilHeard(keys, { lease: (id) => take(id).catch(() => {}), recalled }),
      ),
    ),
  )
const takeMany = (count: number, holders: readonly Holder[], id: string) =>
  Promise.all(Array.from({ length: count }, (_, i) => (holders[i % holders.length] as Holder).take(id)))
/** Takes one as often as it takes until somebody can tell. */
async function told(of: Holder, id: string): Promise<Taken> {
  let taken: Taken | undefined
  const attempt = async () => {
    taken = await of.take(id).catch(() => undefined)
    return taken
  }
  await expect.poll(attempt, { timeout: 10_000 }).toBeDefined()
  return taken as Taken
}

describe('two replicas of auth, and two of keys', () => {
  it('admit exactly 100 of 1,000 calls at once, where 100 uses remain', async () => {
    const id = await keyWith({ remaining: 100 })
    const holders = [holder(), holder()]
    await heard(holders)
    const taken = await takeMany(1000, holders, id)
    expect(admittedOf(taken)).toBe(100)
    expect(taken.filter(({ code }) => code === 'USAGE_EXCEEDED')).toHaveLength(900)
    await Promise.all(holders.map(({ uses }) => uses.recall(id)))
    expect(await remainingOf(id)).toBe(0)
  })

  it('refuse nobody while one of them holds a use', async () => {
    const id = await keyWith({ remaining: 100 })
    const holders = [holder(), holder(), holder()] as const
    await heard(holders)
    expect(admittedOf(await takeMany(3, holders, id))).toBe(3)
    for (let i = 3; i < 100; i++) expect(await holders[0].take(id), `call ${i}`).toEqual({ code: 'VALID' })
    for (const one of holders) expect(await one.take(id)).toEqual({ code: 'USAGE_EXCEEDED' })
  })

  it('admit exactly 10 in a window of 10, and 10 more in the next', async () => {
    const id = await keyWith({ rateLimitMax: 10, rateLimitTimeWindow: 60_000 })
    const holders = [holder(), holder()]
    await heard(holders)
    for (let round = 0; round < 2; round++) {
      const taken = await takeMany(200, holders, id)
      expect(admittedOf(taken)).toBe(10)
      const no = taken.filter(({ code }) => code === 'RATE_LIMITED')
      expect(no).toHaveLength(190)
      expect(no[0]).toMatchObject({ retryAfterSeconds: 60 })
      ahead += 61_000
    }
  })

  it('admit what a refill brings, from the moment that it is due, and nothing of before', async () => {
    const id = await keyWith({ remaining: 3, refillAmount: 20, refillInterval: 60_000 })
    const holders = [holder(), holder()]
    await heard(holders)
    expect(admittedOf(await takeMany(50, holders, id))).toBe(3)
    for (let round = 0; round < 2; round++) {
      const no = await takeMany(1, holders, id)
      expect(no[0]).toMatchObject({ code: 'USAGE_EXCEEDED', retryAfterSeconds: expect.any(Number) })
      ahead += 60_000
      expect(admittedOf(await takeMany(50, holders, id))).toBe(20)
    }
    ahead += 60_000
    expect(admittedOf(await takeMany(5, holders, id))).toBe(5)
    ahead += 60_000
    expect(admittedOf(await takeMany(50, holders, id))).toBe(20)
  })

  it('admit 5 more once the number was set to 5, whatever they held', async () => {
    const id = await keyWith({ remaining: 1000 })
    const holders = [holder(), holder()]
    await heard(holders)
    const before = takeMany(300, holders, id)
    await admin.updateKey({ id, remaining: 5 })
    const after = await takeMany(100, holders, id)
    const admittedAfter = admittedOf(after)
    expect(admittedAfter).toBeLessThanOrEqual(5)
    await before
    expect((await told(holders[0] as Holder, id)).code).toBe('USAGE_EXCEEDED')
    await admin.updateKey({ id, remaining: 5 })
    expect(admittedOf(await takeMany(100, holders, id))).toBe(5)
  })

  it('give back what they do not use when they close', async () => {
    const id = await keyWith({ remaining: 1000 })
    const closing = holder()
    expect(admittedOf(await takeMany(7, [closing], id))).toBe(7)
    await closing.uses.close()
    const [row] = await first.sql`select remaining from key_meters where key_id = ${id}`
    expect(row).toEqual({ remaining: 993 })
  })

  it('tell what is left, and take nothing', async () => {
    const id = await keyWith({ remaining: 10, rateLimitMax: 8, rateLimitTimeWindow: 60_000 })
    const [one, other] = [holder(), holder()]
    await heard([one, other])
    expect(admittedOf(await takeMany(8, [one], id))).toBe(8)
    const key = { record: { id } } as Parameters<typeof other.uses.look>[0]
    const left = await other.uses.look(key, now())
    expect(left).toEqual({ remaining: 2, windowRemaining: 0, retryAfterSeconds: 60 })
    expect(await remainingOf(id)).toBe(2)
  })
})

describe('what goes wrong', () => {
  it('a replica that is killed takes with it what it held, and nothing else', async () => {
    const id = await keyWith({ remaining: 100 })
    const [killed, other] = [holder(), holder()]
    await heard([killed, other])
    expect(admittedOf(await takeMany(4, [killed], id))).toBe(4)
    const held = 4 + Math.floor(96 / 8)
    await killed.kill()
    let admitted = 0
    while ((await told(other, id)).code === 'VALID') admitted++
    expect(admitted).toBe(100 - held)
    await other.uses.recall(id)
    expect(await remainingOf(id)).toBe(0)
  })

  it('answers and requests that are lost lose no use, and admit none twice', async () => {
    const id = await keyWith({ remaining: 200 })
    const random = randomFrom(7)
    const lossy = (): LeaseClient => {
      const keys = inTurn()
      const lost = async <T>(ask: () => Promise<T>) => {
        if (random(10) < 2) throw away()
        const answer = await ask()
        if (random(10) < 3) throw away()
        return answer
      }
      return {
        leaseUses: (request) => lost(() => keys.leaseUses(request)),
        settleUses: (request) => lost(() => keys.settleUses(request)),
      }
    }
    const holders = [holder(lossy()), holder(lossy())] as const
    await heard(holders)
    let admitted = 0
    let refusals = 0
    const use = async (of: Holder) => {
      for (;;) {
        const taken = await of.take(id).catch(() => undefined)
        if (taken?.code === 'VALID') admitted++
        else if (taken) return void refusals++
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, i) => use(holders[i % 2] as Holder)))
    expect({ admitted, refusals }).toEqual({ admitted: 200, refusals: 20 })
  })

  it('a replica whose clock stands still while keys goes on admits no more than it holds', async () => {
    const id = await keyWith({ remaining: 100 })
    const frozen = new Date(now())
    const slow = startHolder({ nats, keys: inTurn(), now: () => frozen })
    const other = holder()
    await heard([slow, other])
    expect(admittedOf(await takeMany(10, [slow], id))).toBe(10)
    ahead += 11_000 // its lease is over, and it does not know
    let admitted = 10
    while ((await told(other, id)).code === 'VALID') admitted++
    for (let i = 0; i < 50; i++) {
      const taken = await slow.take(id).catch(() => undefined)
      if (taken?.code === 'VALID') admitted++
    }
    expect(admitted).toBe(100)
  })
})

function randomFrom(seed: number) {
  let state = seed
  return (below: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}
