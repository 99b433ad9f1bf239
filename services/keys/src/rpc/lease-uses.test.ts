import { freshNats } from '@instatunnel/test/nats'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { asking, liveHolder, newHolder, untilHeard, untilRecalling } from '../../test/holders.ts'
import { invalid, keyNotFound, made, notKeyIds } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const nats = await freshNats()
const start = (settings = {}) => startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys, ...settings })
const keys = await start()
const { DATABASE_URL = '' } = keys.environment
const beside = await start({ DATABASE_URL })
const { leaseUses } = keys.directory
const admin = keys.user({ role: 'admin' })
const observer = await nats.observe()
afterAll(() => Promise.all([keys.close(), beside.close()]))

/** A holder that lives, and that keys knows to live; `settle` is what it does where it is recalled. */
async function livingHolder(settle: (holder: string, keyId: string) => Promise<unknown>) {
  const holder = newHolder()
  const { recalled } = liveHolder(nats, holder, (keyId) => settle(holder, keyId))
  await untilHeard(keys, { recalled, lease: (id) => leaseUses(asking(holder, id)) })
  return holder
}
const keyWith = async (fields: object) => (await made(admin, fields)).id
const remainingOf = async (id: string) => (await admin.getKey({ id })).remaining
const lost = {
  ...{ code: 'ABORTED', reason: 'LEASE_LOST', http: 409 },
  message: 'What the holder had of this key is lost; it may ask anew',
}

describe('LeaseUses', () => {
  it('grants uses for ten seconds, and takes back what was not used', async () => {
    const id = await keyWith({ remaining: 100 })
    const holder = newHolder()
    const granted = await leaseUses(asking(holder, id, { wanted: 4 }))
    expect(granted).toEqual({
      ...{ granted: 16, validForMs: expect.any(Number), code: '', remaining: 84 },
      ...{ retryAfterMs: undefined, windowRemaining: undefined },
    })
    expect(granted.validForMs).toBeGreaterThan(9000)
    expect(granted.validForMs).toBeLessThanOrEqual(10_000)
    expect(await remainingOf(id), 'leased uses remain').toBe(100)
    const used = [{ agoMs: 1, count: 10 }]
    await leaseUses(asking(holder, id, { wanted: 0, used, returned: 6 }))
    expect(await remainingOf(id)).toBe(90)
  })

  it('counts in a window of the key alone, when uses were', async () => {
    const id = await keyWith({ rateLimitMax: 10, rateLimitTimeWindow: 60_000 })
    const holder = newHolder()
    expect(await leaseUses(asking(holder, id, { wanted: 9 }))).toMatchObject({
      ...{ granted: 9, code: '', remaining: undefined, windowRemaining: 1 },
    })
    const used = [
      { agoMs: 20_000, count: 4 },
      { agoMs: 0, count: 5 },
    ]
    expect(await leaseUses(asking(holder, id, { wanted: 2, used }))).toMatchObject({ granted: 1 })
    const last = await leaseUses(asking(holder, id, { used: [{ agoMs: 0, count: 1 }] }))
    expect(last).toMatchObject({ granted: 0, code: 'RATE_LIMITED', windowRemaining: 0 })
    // The oldest are not believed to be older than their lease.
    expect(last.retryAfterMs).toBeGreaterThan(50_000)
    expect(last.retryAfterMs).toBeLessThanOrEqual(60_000)
  })

  it('lifts a window of the key where its limits are lifted', async () => {
    const window = { rateLimitMax: 1, rateLimitTimeWindow: 60_000, rateLimitEnabled: false }
    const counted = await keyWith({ ...window, remaining: 50 })
    expect(await leaseUses(asking(newHolder(), counted, { wanted: 20 }))).toMatchObject({
      ...{ granted: 23, windowRemaining: undefined },
    })
    const uncounted = await keyWith(window)
    expect(await refused(leaseUses(asking(newHolder(), uncounted)))).toEqual(keyNotFound)
  })

  it('answers the same turn the same, at whichever replica, and takes nothing again', async () => {
    const id = await keyWith({ remaining: 100 })
    const request = asking(newHolder(), id, { wanted: 4 })
    const [first, second] = await Promise.all([leaseUses(request), beside.directory.leaseUses(request)])
    const third = await beside.directory.leaseUses(request)
    for (const answer of [second, third]) {
      expect(answer).toEqual({ ...first, validForMs: expect.any(Number) })
    }
    expect(third.validForMs).toBeLessThanOrEqual(first.validForMs)
    const settling = {
      ...asking(request.holder, id),
      wanted: 0,
      used: [{ agoMs: 0, count: 1 }],
      returned: 15,
    }
    for (const server of [keys, beside, keys]) await server.directory.leaseUses(settling)
    expect(await remainingOf(id)).toBe(99)
  })

  it('leases no more than there is to 20 holders at once, and all of it', async () => {
    const id = await keyWith({ remaining: 100 })
    const both = [keys, beside].map(({ directory }) => directory)
    const asks = Array.from({ length: 20 }, (_, i) =>
      both[i % 2]?.leaseUses(asking(newHolder(), id, { wanted: 5 })),
    )
    const answers = await Promise.all(asks.map((ask) => ask?.catch(() => undefined)))
    const granted = answers.reduce((sum, answer) => sum + (answer?.granted ?? 0), 0)
    expect(granted).toBe(100)
  })

  it('tells once that nothing remains: when the last use is settled', async () => {
    const id = await keyWith({ remaining: 3 })
    const holder = newHolder()
    await leaseUses(asking(holder, id, { wanted: 3 }))
    await leaseUses(asking(holder, id, { used: [{ agoMs: 0, count: 3 }] }))
    for (let i = 0; i < 3; i++) expect(await leaseUses(asking(newHolder(), id))).toMatchObject({ granted: 0 })
    await admin.deleteKey({ id })
    const isOf = ({ headers }: { headers: Record<string, string> }) => headers['ce-subject'] === id
    await observer.event((event) => isOf(event) && event.type.endsWith('.revoked'))
    const told = observer.events.filter(isOf)
    expect(told.map(({ type }) => type.replace('instatunnel.events.key.', ''))).toEqual([
      ...['created', 'exhausted', 'revoked'],
    ])
    expect(told[1]?.data).toEqual({ key_id: id, user_id: admin.id })
  })

  it('leases exactly what a number was changed to while it was leased', async () => {
    const id = await keyWith({ remaining: 1000 })
    const returning = new Map<string, Promise<unknown>>()
    const settle = async (holder: string) => returning.get(holder)
    const holders = await Promise.all(Array.from({ length: 20 }, () => livingHolder(settle)))
    const changing = admin.updateKey({ id, remaining: 5 })
    const holding = holders.map(async (holder) => {
      const answer = await beside.directory.leaseUses(asking(holder, id)).catch(() => undefined)
      if (!answer) return
      const back = leaseUses(asking(holder, id, { wanted: 0, returned: answer.granted }))
      returning.set(holder, back)
      await back
    })
    await Promise.all([...holding, changing])
    expect(await leaseUses(asking(newHolder(), id, { wanted: 100 }))).toMatchObject({
      granted: 5,
      remaining: 0,
    })
  })

  it('takes back what is left of a revoked key, which may be restored, and leases nothing of it', async () => {
    const id = await keyWith({ remaining: 100 })
    const holder = newHolder()
    await leaseUses(asking(holder, id, { wanted: 4 }))
    await admin.deleteKey({ id })
    expect(await refused(leaseUses(asking(holder, id, { returned: 16 })))).toEqual(keyNotFound)
    await leaseUses(asking(holder, id, { wanted: 0, returned: 16 }))
    await admin.restoreKey({ id })
    expect(await remainingOf(id)).toBe(100)
  })

  it('does not know a key that counts no uses, nor what is no key', async () => {
    expect(await refused(leaseUses(asking(newHolder(), await keyWith({}))))).toEqual(keyNotFound)
    for (const id of notKeyIds) expect(await refused(leaseUses(asking(newHolder(), id)))).toEqual(keyNotFound)
  })

  const range = (least: number) => `must be a whole number from ${least} to 1000000`
  it.each([
    { change: { holder: 'me' }, field: 'holder', message: 'is not the id of a replica of auth' },
    { change: { turn: 0 }, field: 'turn', message: 'must be a whole number from 1 on' },
    { change: { turn: 1.5 }, field: 'turn', message: 'must be a whole number from 1 on' },
    { change: { turn: Number.NaN }, field: 'turn', message: 'must be a whole number from 1 on' },
    { change: { wanted: -1 }, field: 'wanted', message: range(0) },
    { change: { returned: 1_000_001 }, field: 'returned', message: range(0) },
    { change: { kept: -5 }, field: 'kept', message: range(0) },
    { change: { used: [{ agoMs: 0, count: 0 }] }, field: 'used[0].count', message: range(1) },
    {
      change: { used: [{ agoMs: Number.NaN, count: 1 }] },
      field: 'used',
      message: 'must tell when each was',
    },
    {
      change: { used: Array(257).fill({ agoMs: 0, count: 1 }) },
      field: 'used',
      message: 'must be at most 256',
    },
  ])('refuses $field: $message', async ({ change, field, message }) => {
    const id = await keyWith({ remaining: 1 })
    expect(await refused(leaseUses({ ...asking(newHolder(), id), ...change }))).toEqual(
      invalid(field, message),
    )
  })

  it('is for services only', async () => {
    const { leaseUses: asUser } = keys.callWith({})
    expect(await refused(asUser())).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'SERVICES_ONLY' })
  })
})

describe('LeaseUses, where nothing is left beside what others hold', () => {
  it('has a replica that lives settle, and leases what comes back', async () => {
    const id = await keyWith({ remaining: 10 })
    const used = [{ agoMs: 0, count: 7 }]
    const holder = await livingHolder((me, keyId) =>
      beside.directory.leaseUses(asking(me, keyId, { wanted: 0, used, returned: 3 })),
    )
    await leaseUses(asking(holder, id, { wanted: 10 }))
    expect(await leaseUses(asking(newHolder(), id, { wanted: 5 }))).toMatchObject({
      granted: 3,
      remaining: 0,
    })
  })

  it('has it settle also by a replica of keys that has only just begun, and knows of nobody yet', async () => {
    const id = await keyWith({ remaining: 7 })
    const living = await livingHolder((holder, keyId) =>
      leaseUses(asking(holder, keyId, { wanted: 0, returned: 7 })),
    )
    expect(await leaseUses(asking(living, id, { wanted: 7 }))).toMatchObject({ granted: 7 })
    const late = await start({ DATABASE_URL })
    onTestFinished(() => late.close())
    expect(await late.directory.leaseUses(asking(newHolder(), id, { wanted: 1 }))).toMatchObject({ code: '' })
  })

  it('says so where nothing came back', async () => {
    const id = await keyWith({ remaining: 10 })
    const used = [{ agoMs: 0, count: 10 }]
    const holder = await livingHolder((me, keyId) => leaseUses(asking(me, keyId, { wanted: 0, used })))
    await leaseUses(asking(holder, id, { wanted: 10 }))
    expect(await leaseUses(asking(newHolder(), id))).toMatchObject({ granted: 0, code: 'USAGE_EXCEEDED' })
  })

  it('cannot tell where one that lives does not answer: no wrong "no", and all of it once it has', async () => {
    const id = await keyWith({ remaining: 10 })
    let isThere = false
    const holder = await livingHolder(async (me, keyId) => {
      if (!isThere) throw new Error('cannot settle now')
      await leaseUses(asking(me, keyId, { wanted: 0, returned: 10 }))
    })
    await leaseUses(asking(holder, id, { wanted: 10 }))
    const request = asking(newHolder(), id, { wanted: 2 })
    expect(await refused(leaseUses(request))).toMatchObject({
      code: 'UNAVAILABLE',
      http: 503,
      retryAfterSeconds: 1,
    })
    isThere = true
    expect(await leaseUses(request)).toMatchObject({ granted: 3, code: '' })
  })

  it('forfeits what one held that is no more, and leases what is left', async () => {
    await untilRecalling(keys)
    const id = await keyWith({ remaining: 10 })
    const dead = newHolder()
    await leaseUses(asking(dead, id, { wanted: 10 }))
    expect(await leaseUses(asking(newHolder(), id))).toMatchObject({ code: 'USAGE_EXCEEDED', remaining: 0 })
    expect(await refused(leaseUses(asking(dead, id, { wanted: 0, returned: 10 })))).toMatchObject(lost)

    const window = await keyWith({ rateLimitMax: 10, rateLimitTimeWindow: 60_000 })
    await leaseUses(asking(dead, window, { wanted: 10 }))
    const no = await leaseUses(asking(newHolder(), window))
    expect(no).toMatchObject({ code: 'RATE_LIMITED' })
    // Counted as late as they could have been used.
    expect(no.retryAfterMs).toBeGreaterThan(65_000)
  })

  it('cannot tell while NATS is away', async () => {
    const id = await keyWith({ remaining: 10 })
    await leaseUses(asking(newHolder(), id, { wanted: 10 }))
    await nats.kill()
    const request = asking(newHolder(), id)
    expect(await refused(leaseUses(request))).toMatchObject({ code: 'UNAVAILABLE', http: 503 })
    await nats.start()
    await expect
      .poll(() => leaseUses(request).then(({ code }) => code, String), { timeout: 10_000 })
      .toBe('USAGE_EXCEEDED')
  })
})
