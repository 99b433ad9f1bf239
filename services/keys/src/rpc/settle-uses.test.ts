import { newId } from '@instatunnel/kit/id'
import { freshNats } from '@instatunnel/test/nats'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { asking, newHolder } from '../../test/holders.ts'
import { invalid, made } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const nats = await freshNats()
const start = (settings = {}) => startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys, ...settings })
const keys = await start()
const beside = await start({ DATABASE_URL: keys.environment.DATABASE_URL ?? '' })
const { leaseUses, settleUses } = keys.directory
const admin = keys.user({ role: 'admin' })
const observer = await nats.observe()
afterAll(() => Promise.all([keys.close(), beside.close()]))

const keysWith = (count: number, fields: object) =>
  Promise.all(Array.from({ length: count }, async () => (await made(admin, fields)).id))
const remainingOf = async (id: string) => (await admin.getKey({ id })).remaining
/** Leases so many of each key. */
const leased = (holder: string, ids: readonly string[], wanted: number) =>
  Promise.all(ids.map((keyId) => leaseUses(asking(holder, keyId, { wanted }))))
const TURN = 1e9
const settling = (keyId: string, rest: object = {}) => ({
  ...{ keyId, turn: TURN, used: [{ agoMs: 0, count: 1 }], returned: 15 },
  ...rest,
})

describe('SettleUses', () => {
  it('takes back what was not used of many keys at once, and once however often it is asked', async () => {
    const ids = await keysWith(20, { remaining: 100 })
    const holder = newHolder()
    await leased(holder, ids, 4)
    const request = { holder, settlements: ids.map((id) => settling(id)) }
    const answers = await Promise.all([keys, beside].map(({ directory }) => directory.settleUses(request)))
    expect([...answers, await settleUses(request)]).toEqual(Array(3).fill({ lost: [] }))
    for (const id of ids) expect(await remainingOf(id)).toBe(99)
    const [row] = await keys.sql`select sum(held)::integer as held from key_leases where holder = ${holder}`
    expect(row).toEqual({ held: 0 })
  })

  it('counts in windows when uses were, and what is neither used nor returned as used', async () => {
    const ids = await keysWith(2, { rateLimitMax: 10, rateLimitTimeWindow: 60_000 })
    const holder = newHolder()
    await leased(holder, ids, 8)
    const settlements = ids.map((id, i) => settling(id, { returned: i === 0 ? 7 : 0 }))
    expect(await settleUses({ holder, settlements })).toEqual({ lost: [] })
    const left = await leased(newHolder(), ids, 0)
    expect(left.map(({ windowRemaining }) => windowRemaining)).toEqual([9, 2])
  })

  it('tells what is lost, and settles the rest', async () => {
    const [good = '', late = '', uncounted = ''] = [
      ...(await keysWith(2, { remaining: 100 })),
      ...(await keysWith(1, {})),
    ]
    const holder = newHolder()
    await leased(holder, [good, late], 4)
    const missing = newId('key_', new Date())
    const settlements = [
      settling(missing),
      settling('key_\0'),
      settling(late, { returned: 16 }),
      settling(good),
      settling(uncounted),
    ]
    expect(await settleUses({ holder, settlements })).toEqual({ lost: [0, 1, 2, 4] })
    expect(await remainingOf(good)).toBe(99)
    expect(await remainingOf(late)).toBe(100)
    expect(await settleUses({ holder, settlements: [settling(good, { turn: TURN - 1 })] })).toEqual({
      lost: [0],
    })
  })

  it('tells of each key that nothing of it remains', async () => {
    const ids = await keysWith(2, { remaining: 3 })
    const holder = newHolder()
    await leased(holder, ids, 3)
    const used = [{ agoMs: 0, count: 3 }]
    await settleUses({ holder, settlements: ids.map((id) => settling(id, { used, returned: 0 })) })
    for (const id of ids)
      await observer.event(({ headers, type }) => headers['ce-subject'] === id && type.endsWith('.exhausted'))
  })

  it('waits for nobody who waits for it, in whatever order keys are settled and leased', async () => {
    const ids = await keysWith(30, { remaining: 1000 })
    const holders = Array.from({ length: 6 }, newHolder)
    for (let round = 0; round < 5; round++) {
      await Promise.all(holders.map((holder) => leased(holder, ids, 1)))
      await Promise.all(
        holders.map((holder, i) => {
          const ordered = i % 2 === 0 ? ids : ids.toReversed()
          const settlements = ordered.map((id) => settling(id, { turn: TURN + round, returned: 0 }))
          return [keys, beside][i % 2]?.directory.settleUses({ holder, settlements })
        }),
      )
      // Turns only grow.
      holders.splice(0, 6, ...Array.from({ length: 6 }, newHolder))
    }
  })

  it('refuses too many at once, a key that is named twice, and what is none', async () => {
    const settle = (settlements: object[], holder = newHolder()) =>
      refused(settleUses({ holder, settlements: settlements as never }))
    const ids = Array.from({ length: 501 }, () => newId('key_', new Date()))
    expect(await settle(ids.map((id) => settling(id)))).toEqual(invalid('settlements', 'must be at most 500'))
    const [id = ''] = ids
    expect(await settle([settling(id), settling(id)])).toEqual(
      invalid('settlements', 'must name each key once'),
    )
    expect(await settle([settling(id, { turn: 0 })])).toEqual(
      invalid('settlements[0].turn', 'must be a whole number from 1 on'),
    )
    expect(await settle([], 'me')).toEqual(invalid('holder', 'is not the id of a replica of auth'))
    expect(await settleUses({ holder: newHolder(), settlements: [] })).toEqual({ lost: [] })
  })
})
