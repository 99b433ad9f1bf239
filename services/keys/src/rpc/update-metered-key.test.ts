import { newId } from '@instatunnel/kit/id'
import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, made, scopeMissing } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

let time = Date.parse('2026-01-01')
const keys = await startKeys({}, { now: () => new Date(time) })
afterAll(() => keys.close())
const admin = keys.user({ role: 'admin' })

const refill = { refillAmount: 100, refillInterval: 60_000 }
const window = { rateLimitTimeWindow: 60_000, rateLimitMax: 10 }
const newReplica = () => newId('auth_', new Date(time))
const [a, b] = [newReplica(), newReplica()]
const lease = (keyId: string, wanted: number) =>
  keys.directory.leaseUses({ keyId, holder: a, turn: 1, wanted })
const meterOf = async (id: string) => (await keys.sql`select * from key_meters where key_id = ${id}`)[0]

describe('UpdateKey with what only servers decide', () => {
  it('sets all of it for one who holds admin:write', async () => {
    const { id, secret, key } = await made(admin)
    const all = { remaining: 3, ...refill, ...window, rateLimitEnabled: false }
    const after = await admin.updateKey({ id, ...all })
    expect(after).toEqual({ ...key, ...all, updatedAt: expect.any(Date) })
    expect(await admin.getKey({ id })).toEqual(after)
    expect(await keys.lookUp(secret)).toMatchObject({ isMetered: true, rateLimitEnabled: false })
  })

  it.each([
    { remaining: 5 },
    { ...refill },
    { ...window },
    { rateLimitEnabled: false },
    { rateLimitEnabled: true },
    { name: 'new', remaining: 5 },
    { remaining: 5, updateMask: ['remaining'] },
  ])('is refused without it, whole: %j', async (change) => {
    const owner = keys.user()
    const { id, key } = await made(owner)
    expect(await refused(owner.updateKey({ id, ...change }))).toEqual(scopeMissing('admin:write'))
    expect(await owner.getKey({ id })).toEqual(key)
  })

  it.each([['remaining'], ['refill_amount', 'refill_interval'], ['rate_limit_enabled'], ['*']])(
    'is not cleared without it by a mask: %j',
    async (...updateMask) => {
      const owner = keys.user()
      const { id } = await made(owner)
      const limited = { remaining: 3, ...refill, ...window, rateLimitEnabled: false }
      const before = await admin.updateKey({ id, ...limited })
      expect(await refused(owner.updateKey({ id, name: 'mine', updateMask }))).toEqual(
        scopeMissing('admin:write'),
      )
      expect(await owner.getKey({ id })).toEqual(before)
    },
  )

  it.each([['remaining'], ['*']])(
    'gives nobody back what is leased of a number: %j',
    async (...updateMask) => {
      const owner = keys.user()
      const { id } = await made(owner)
      await admin.updateKey({ id, remaining: 100, ...refill })
      const { granted } = await lease(id, 10)
      // As many remain as a refill gives, as long as it is not known what of the lease was used.
      expect((await owner.getKey({ id })).remaining).toBe(100)
      expect(await refused(owner.updateKey({ id, name: 'mine', updateMask }))).toEqual(
        scopeMissing('admin:write'),
      )
      expect((await meterOf(id))?.remaining).toBe(100 - granted)
    },
  )

  it('hinders no owner who changes the rest', async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    const before = await admin.updateKey({ id, remaining: 3, ...window })
    const change = { name: 'mine', allowedIps: ['::1'], updateMask: ['name', 'allowed_ips'] }
    const after = await owner.updateKey({ id, ...change, remaining: 1_000_000 })
    expect(after).toEqual({ ...before, name: 'mine', allowedIps: ['::1/128'] })
  })

  it("is not found without it, where the key is another's", async () => {
    const { id } = await made(keys.user())
    const stranger = keys.user({ scopes: [...scopesOfRole('user'), 'admin:read'] })
    expect(await refused(stranger.updateKey({ id, remaining: 5 }))).toEqual(scopeMissing('admin:write'))
    expect(await refused(stranger.updateKey({ id, allowedIps: ['::1'] }))).toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it('takes one half of a pair that is whole, and refuses what would break it', async () => {
    const { id } = await made(admin, { ...refill, ...window })
    expect(await admin.updateKey({ id, refillAmount: 7 })).toMatchObject({
      refillAmount: 7,
      refillInterval: 60_000,
    })
    expect(await admin.updateKey({ id, rateLimitMax: 7 })).toMatchObject({ rateLimitMax: 7 })
    const broken = [
      ['refill_amount', 'refill_interval'],
      ['refill_interval', 'refill_amount'],
      ['rate_limit_max', 'rate_limit_time_window'],
      ['rate_limit_time_window', 'rate_limit_max'],
    ] as const
    for (const [cleared, left] of broken) {
      expect(await refused(admin.updateKey({ id, updateMask: [cleared] }))).toEqual(
        invalid(left, `must not be set without ${cleared}`),
      )
    }
    const bare = await made(admin)
    expect(await refused(admin.updateKey({ id: bare.id, refillAmount: 1 }))).toEqual(
      invalid('refill_amount', 'must not be set without refill_interval'),
    )
  })

  it('clears pairs by a mask; what remains stays, and where nothing is counted there is no meter', async () => {
    const { id, secret } = await made(admin, { remaining: 3, ...refill, ...window })
    const unlimited = await admin.updateKey({
      id,
      updateMask: ['refill_amount', 'refill_interval', 'rate_limit_max', 'rate_limit_time_window'],
    })
    expect(unlimited).toMatchObject({
      remaining: 3,
      refillAmount: undefined,
      refillInterval: undefined,
      rateLimitMax: undefined,
      rateLimitTimeWindow: undefined,
    })
    expect((await admin.updateKey({ id, updateMask: ['remaining'] })).remaining).toBeUndefined()
    expect(await meterOf(id)).toBeUndefined()
    expect(await keys.lookUp(secret)).toMatchObject({ isMetered: false })
  })

  it('sets what remains back to a full refill where it is cleared', async () => {
    const { id } = await made(admin, { remaining: 3, ...refill })
    expect((await admin.updateKey({ id, updateMask: ['remaining'] })).remaining).toBe(100)
  })

  it('begins with a full refill where uses were not counted', async () => {
    const { id } = await made(admin)
    expect(await admin.updateKey({ id, ...refill })).toMatchObject({
      remaining: 100,
      lastRefillAt: undefined,
    })
  })

  it.each([Number.NaN, Number.NEGATIVE_INFINITY, -1, 0.1, 2 ** 54])(
    'refuses that %d remain',
    async (remaining) => {
      const { id, key } = await made(admin, { remaining: 1 })
      expect(await refused(admin.updateKey({ id, remaining }))).toEqual(
        invalid('remaining', 'must be a whole number from 0 to 2^53'),
      )
      expect(await admin.getKey({ id })).toEqual(key)
    },
  )

  it('clears lists by a mask, and replaces them where they are not empty', async () => {
    const user = keys.user()
    const { id } = await made(user, { allowedIps: ['::1'], allowedSubdomains: ['a'] })
    expect(await user.updateKey({ id, allowedIps: [], allowedSubdomains: [] })).toMatchObject({
      allowedIps: ['::1/128'],
      allowedSubdomains: ['a'],
    })
    expect(await user.updateKey({ id, allowedSubdomains: ['B-*'] })).toMatchObject({
      allowedSubdomains: ['b-*'],
    })
    const updateMask = ['allowed_ips', 'allowedSubdomains']
    expect(await user.updateKey({ id, updateMask })).toMatchObject({ allowedIps: [], allowedSubdomains: [] })
  })
})

describe('what is leased of a key', () => {
  it('remains, until it is used', async () => {
    const { id } = await made(admin, { remaining: 100 })
    const { granted } = await lease(id, 10)
    expect(granted).toBeGreaterThanOrEqual(10)
    expect((await meterOf(id))?.remaining).toBe(100 - granted)
    expect((await admin.getKey({ id })).remaining).toBe(100)
  })

  it('is lost, and does not remain, once its lease is over', async () => {
    const { id } = await made(admin, { remaining: 100 })
    const { granted, validForMs } = await lease(id, 10)
    time += validForMs
    expect((await admin.getKey({ id })).remaining).toBe(100 - granted)
  })

  it.each([{ remaining: 50 }, { remaining: 100 }])(
    'is part of what is set to remain, until it is settled: %j',
    async ({ remaining }) => {
      const { id } = await made(admin, { remaining: 100 })
      const { granted } = await lease(id, 10)
      expect((await admin.updateKey({ id, remaining })).remaining).toBe(remaining)
      expect((await meterOf(id))?.remaining).toBe(remaining - granted)
      const used = [{ agoMs: 0, count: 4 }]
      const settling = { ...{ keyId: id, holder: a, turn: 2, wanted: 0 }, used, returned: granted - 4 }
      await keys.directory.leaseUses(settling)
      expect((await admin.getKey({ id })).remaining).toBe(remaining - 4)
    },
  )

  it('stays leased where only the refill or the window changes', async () => {
    const { id } = await made(admin, { remaining: 100, ...refill, ...window })
    const { granted } = await lease(id, 1)
    expect(await admin.updateKey({ id, refillAmount: 7 })).toMatchObject({ remaining: 100 })
    expect(await admin.updateKey({ id, rateLimitMax: 20 })).toMatchObject({ remaining: 100 })
    const again = await keys.directory.leaseUses({ keyId: id, holder: b, turn: 1, wanted: 0 })
    expect(again).toMatchObject({ remaining: 100 - granted, windowRemaining: 20 - granted })
    await keys.directory.leaseUses({ keyId: id, holder: a, turn: 2, wanted: 0, returned: granted })
    expect((await meterOf(id))?.remaining).toBe(100)
  })

  it('stays leased where something else changes', async () => {
    const { id } = await made(admin, { remaining: 100 })
    const { granted } = await lease(id, 1)
    await admin.updateKey({ id, name: 'new', rateLimitEnabled: false })
    expect((await meterOf(id))?.remaining).toBe(100 - granted)
    expect((await admin.getKey({ id })).remaining).toBe(100)
  })
})

describe('a refill', () => {
  it('is shown when it is due, whether or not anybody used the key since', async () => {
    const { id } = await made(admin, { remaining: 1, ...refill })
    const start = time
    time = start + 59_999
    expect(await admin.getKey({ id })).toMatchObject({ remaining: 1, lastRefillAt: undefined })
    time = start + 60_000
    expect(await admin.getKey({ id })).toMatchObject({ remaining: 100, lastRefillAt: new Date(time) })
    time = start + 190_000
    const lastRefillAt = new Date(start + 180_000)
    expect(await admin.getKey({ id })).toMatchObject({ remaining: 100, lastRefillAt })
    const { keys: listed } = await admin.listKeys({ pageSize: 200 })
    expect(listed.find((key) => key.id === id)).toMatchObject({ remaining: 100, lastRefillAt })
  })

  it('that was due is done before the refill changes', async () => {
    const { id } = await made(admin, { remaining: 1, ...refill })
    time += 60_000
    const due = new Date(time)
    expect(await admin.updateKey({ id, refillAmount: 7 })).toMatchObject({
      remaining: 100,
      refillAmount: 7,
      lastRefillAt: due,
    })
  })

  it('comes a whole interval after its interval was chosen, for an old key too', async () => {
    const { id } = await made(admin, { remaining: 1 })
    time += 3_600_000
    expect(await admin.updateKey({ id, ...refill })).toMatchObject({ remaining: 1 })
    time += 59_999
    expect((await admin.getKey({ id })).remaining).toBe(1)
    await admin.updateKey({ id, refillInterval: 120_000 })
    time += 119_999
    expect((await admin.getKey({ id })).remaining).toBe(1)
    time += 1
    expect((await admin.getKey({ id })).remaining).toBe(100)
  })
})

describe('updates and leases at once', () => {
  it('block one another never, and admit never more than was set', async () => {
    const { id } = await made(admin, { remaining: 1000 })
    const leasing = Array.from({ length: 20 }, () =>
      keys.directory.leaseUses({ keyId: id, holder: newReplica(), turn: 1, wanted: 10 }),
    )
    const naming = Array.from({ length: 10 }, (_, n) => admin.updateKey({ id, name: `n${n}` }))
    const setting = Array.from({ length: 5 }, () =>
      admin.updateKey({ id, rateLimitTimeWindow: 1000, rateLimitMax: 1e9 }),
    )
    await Promise.all([...naming, ...setting])
    const granted = (await Promise.all(leasing)).reduce((sum, lease) => sum + lease.granted, 0)
    const { remaining = 0 } = await admin.getKey({ id })
    expect(remaining).toBeLessThanOrEqual(1000)
    expect((await meterOf(id))?.remaining).toBe(1000 - granted)
  })

  it('lose no change of two that set different halves', async () => {
    const { id } = await made(admin, { remaining: 1, ...refill, ...window })
    await Promise.all([
      admin.updateKey({ id, refillAmount: 5 }),
      admin.updateKey({ id, rateLimitMax: 5 }),
      admin.updateKey({ id, remaining: 5 }),
      admin.updateKey({ id, name: 'new' }),
    ])
    expect(await admin.getKey({ id })).toMatchObject({
      refillAmount: 5,
      rateLimitMax: 5,
      remaining: 5,
      name: 'new',
    })
  })
})
