import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { asking, liveHolder, newHolder, untilHeard } from '../../test/holders.ts'
import { made } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

let ahead = 0
const now = () => new Date(Date.now() + ahead)
const nats = await freshNats()
const keys = await startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys }, { now })
const { leaseUses } = keys.directory
const admin = keys.user({ role: 'admin' })
afterAll(() => keys.close())

const keyWith = async (fields: object) => (await made(admin, fields)).id
const remainingOf = async (id: string) => (await admin.getKey({ id })).remaining
const meterOf = async (id: string) => (await keys.sql`select * from key_meters where key_id = ${id}`)[0]

/** A holder that lives, and settles what `settle` says when it is asked to, as long as it can be reached. */
async function living() {
  const holder = newHolder()
  const state = { isReached: true, settles: {} as object }
  const { recalled } = liveHolder(nats, holder, async (keyId) => {
    if (!state.isReached) throw new Error('not reached')
    await leaseUses(asking(holder, keyId, { wanted: 0, ...state.settles }))
  })
  await untilHeard(keys, { recalled, lease: (id) => leaseUses(asking(holder, id)) })
  return Object.assign(state, { holder, recalled })
}

describe('UpdateKey of what remains, while some of it is leased', () => {
  it('has those who hold some settle first: what was used before does not count', async () => {
    const id = await keyWith({ remaining: 100 })
    const replica = await living()
    await leaseUses(asking(replica.holder, id, { wanted: 4 }))
    replica.settles = { used: [{ agoMs: 0, count: 10 }], returned: 6 }
    expect(await admin.updateKey({ id, remaining: 50 })).toMatchObject({ remaining: 50 })
    expect(await meterOf(id)).toMatchObject({ remaining: 50, nextRemaining: null })
    expect(await admin.updateKey({ id, remaining: 5 })).toMatchObject({ remaining: 5 })
  })

  it('takes what one holds that is not reached off the number, and gives back what that did not use', async () => {
    const id = await keyWith({ remaining: 100 })
    const replica = await living()
    await leaseUses(asking(replica.holder, id, { wanted: 4 }))
    replica.isReached = false
    expect(await admin.updateKey({ id, remaining: 50 })).toMatchObject({ remaining: 50 })
    expect(await leaseUses(asking(newHolder(), id, { wanted: 34 }))).toMatchObject({ granted: 34 })
    await leaseUses(asking(replica.holder, id, { wanted: 0, used: [{ agoMs: 0, count: 1 }], returned: 15 }))
    expect(await remainingOf(id)).toBe(49)
  })

  it('answers only when no more can pass than is set: once what is held elsewhere is settled, or over', async () => {
    const id = await keyWith({ remaining: 100 })
    const replica = await living()
    await leaseUses(asking(replica.holder, id, { wanted: 4 }))
    replica.isReached = false
    let isAnswered = false
    const updating = admin.updateKey({ id, remaining: 5 }).then((key) => {
      isAnswered = true
      return key
    })
    await expect
      .poll(() => meterOf(id), { timeout: 5000 })
      .toMatchObject({ remaining: -11, nextRemaining: 5 })
    expect(await remainingOf(id), 'what is set is shown').toBe(5)
    const other = await leaseUses(asking(newHolder(), id, { wanted: 3 })).catch(({ code }) => code)
    expect(other, 'nobody can tell').toBe(14)
    expect(isAnswered).toBe(false)
    // It uses all that it holds: before the update is answered.
    await leaseUses(asking(replica.holder, id, { wanted: 0, used: [{ agoMs: 0, count: 16 }] }))
    expect(await leaseUses(asking(newHolder(), id, { wanted: 9 }))).toMatchObject({ granted: 5 })
    expect(await updating).toMatchObject({ remaining: 5 })
  })

  it('has exactly so many remain once a replica is killed whose lease is over', async () => {
    const id = await keyWith({ remaining: 100 })
    const killed = newHolder()
    await leaseUses(asking(killed, id, { wanted: 100 }))
    const updating = admin.updateKey({ id, remaining: 7 })
    await expect.poll(() => meterOf(id), { timeout: 5000 }).toMatchObject({ nextRemaining: 7 })
    ahead += 10_000
    const after = await leaseUses(asking(newHolder(), id, { wanted: 50 }))
    expect(after).toMatchObject({ granted: 7, remaining: 0 })
    await updating
  })
})

describe('UpdateKey of a window, while some of it is leased', () => {
  it('answers once those who hold more than the smaller one admits have settled', async () => {
    const id = await keyWith({ rateLimitMax: 100, rateLimitTimeWindow: 60_000 })
    const replica = await living()
    await leaseUses(asking(replica.holder, id, { wanted: 4 }))
    replica.settles = { used: [{ agoMs: 0, count: 1 }], returned: 15 }
    await admin.updateKey({ id, rateLimitMax: 3 })
    expect(replica.recalled).toContain(id)
    expect(await leaseUses(asking(newHolder(), id, { wanted: 9 }))).toMatchObject({ granted: 2 })
  })
})
