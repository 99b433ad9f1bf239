import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, made, scopeMissing } from '../../test/made.ts'
import { newUserId, startKeys, type User } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())
const admin = keys.user({ role: 'admin' })

const rowsOf = (user: User) => keys.sql`select id from api_keys where user_id = ${user.id}`
const metersOf = (id: string) => keys.sql`select * from key_meters where key_id = ${id}`

describe('CreateKey with what only servers decide', () => {
  const all = {
    remaining: 3,
    refillAmount: 10,
    refillInterval: 3_600_000,
    rateLimitEnabled: true,
    rateLimitTimeWindow: 60_000,
    rateLimitMax: 100,
  }

  it('sets all of it for one who holds admin:write', async () => {
    const { key, id, secret } = await made(admin, all)
    expect(key).toMatchObject({ ...all, lastRefillAt: undefined, userId: admin.id })
    expect(await admin.getKey({ id })).toEqual(key)
    expect(await keys.lookUp(secret)).toMatchObject({ isMetered: true, rateLimitMax: 100 })
  })

  it.each([
    { remaining: 5 },
    { remaining: 0 },
    { refillAmount: 5, refillInterval: 60_000 },
    { rateLimitTimeWindow: 60_000, rateLimitMax: 5 },
    { rateLimitEnabled: false },
    { rateLimitEnabled: true },
    { userId: newUserId() },
  ])('is refused without it: %j', async (request) => {
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      const user = keys.user({ scopes })
      expect(await refused(user.createKey({ name: 'x', ...request }))).toEqual(scopeMissing('admin:write'))
      expect(await rowsOf(user)).toEqual([])
    }
  })

  it("is refused to an admin's credential without admin:write", async () => {
    const narrow = keys.user({ role: 'admin', scopes: scopesOfRole('user') })
    expect(await refused(narrow.createKey({ name: 'x', remaining: 1 }))).toEqual(scopeMissing('admin:write'))
  })

  it('is refused for oneself by name, too', async () => {
    const user = keys.user()
    expect(await refused(user.createKey({ name: 'x', userId: user.id }))).toEqual(scopeMissing('admin:write'))
  })

  it('begins with as many as a refill gives, where nothing else is said', async () => {
    const { key } = await made(admin, { refillAmount: 7, refillInterval: 1000 })
    expect(key).toMatchObject({ remaining: 7, refillAmount: 7, refillInterval: 1000 })
  })

  it('keeps no meter for a key whose uses are not counted', async () => {
    const lifted = await made(admin, { rateLimitEnabled: false })
    expect(lifted.key).toMatchObject({ rateLimitEnabled: false, remaining: undefined })
    expect(await metersOf(lifted.id)).toEqual([])
    expect(await keys.lookUp(lifted.secret)).toMatchObject({ isMetered: false, rateLimitEnabled: false })
  })

  it.each([
    [{ remaining: 0 }],
    [{ remaining: 2 ** 53 }],
    [{ remaining: 1, refillAmount: 1, refillInterval: 1000 }],
    [{ remaining: 1, refillAmount: 2 ** 53, refillInterval: 315_360_000_000 }],
    [{ rateLimitTimeWindow: 1, rateLimitMax: 1 }],
    [{ rateLimitTimeWindow: 2_592_000_000, rateLimitMax: 1_000_000_000 }],
  ])('takes %j, exactly', async (fields) => {
    const { key, id } = await made(admin, fields)
    expect(key).toMatchObject(fields)
    expect(await admin.getKey({ id })).toMatchObject(fields)
  })

  it('takes -0 as 0', async () => {
    const { key } = await made(admin, { remaining: -0 })
    expect(Object.is(key.remaining, 0)).toBe(true)
  })

  const whole = (least: number) => `must be a whole number from ${least} to 2^53`
  const interval = 'must be whole milliseconds from 1000 to 315360000000 (ten years)'
  const window = 'must be whole milliseconds from 1 to 2592000000 (30 days)'
  const max = 'must be a whole number from 1 to 1000000000'
  const notWhole = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5, 5e-324, -1]
  it.each([
    ...notWhole.map((n) => ({ request: { remaining: n }, field: 'remaining', message: whole(0) })),
    { request: { remaining: 2 ** 53 + 2 }, field: 'remaining', message: whole(0) },
    ...[0, ...notWhole].map((n) => ({
      request: { refillAmount: n, refillInterval: 1000 },
      field: 'refill_amount',
      message: whole(1),
    })),
    ...[999, 315_360_000_001, 1000.5, Number.NaN].map((n) => ({
      request: { refillAmount: 1, refillInterval: n },
      field: 'refill_interval',
      message: interval,
    })),
    ...[0, 2_592_000_001, 1.5, Number.NaN].map((n) => ({
      request: { rateLimitTimeWindow: n, rateLimitMax: 1 },
      field: 'rate_limit_time_window',
      message: window,
    })),
    ...[0, 1_000_000_001, 1.5, Number.NaN].map((n) => ({
      request: { rateLimitTimeWindow: 1, rateLimitMax: n },
      field: 'rate_limit_max',
      message: max,
    })),
    {
      request: { refillAmount: 1 },
      field: 'refill_amount',
      message: 'must not be set without refill_interval',
    },
    {
      request: { rateLimitTimeWindow: 1 },
      field: 'rate_limit_time_window',
      message: 'must not be set without rate_limit_max',
    },
  ])('refuses $request', async ({ request, field, message }) => {
    const user = keys.user({ role: 'admin' })
    expect(await refused(user.createKey({ name: 'x', ...request }))).toEqual(invalid(field, message))
    expect(await rowsOf(user)).toEqual([])
  })
})

describe('CreateKey with restrictions', () => {
  it('keeps networks and patterns the shortest way, each once', async () => {
    const { key, secret } = await made(keys.user(), {
      allowedIps: [
        '10.1.2.3/8',
        '10.0.0.0/8',
        '2001:DB8::1',
        '::ffff:192.0.2.7',
        '192.0.2.7',
        '::ffff:198.51.100.9/120',
      ],
      allowedSubdomains: ['Docs-*', 'docs-*', 'a?c', '*'],
    })
    const kept = {
      allowedIps: ['10.0.0.0/8', '2001:db8::1/128', '192.0.2.7/32', '198.51.100.0/24'],
      allowedSubdomains: ['docs-*', 'a?c', '*'],
    }
    expect(key).toMatchObject(kept)
    expect(await keys.lookUp(secret)).toMatchObject(kept)
  })

  it('takes 32 of each, and none', async () => {
    const allowedIps = Array.from({ length: 32 }, (_, n) => `192.0.2.${n}/32`)
    const allowedSubdomains = Array.from({ length: 32 }, (_, n) => `${'x'.repeat(60)}-${n}`)
    expect((await made(keys.user(), { allowedIps, allowedSubdomains })).key).toMatchObject({
      allowedIps,
      allowedSubdomains,
    })
    expect((await made(keys.user())).key).toMatchObject({ allowedIps: [], allowedSubdomains: [] })
  })

  const noNetwork =
    'must be an IPv4 or IPv6 address, or a network in CIDR notation, of IPv4 written as one: 10.0.0.0/8'
  const noPattern = "must be 1 to 63 of a-z, 0-9 and '-', '*' for any characters and '?' for one"
  it.each([
    ...[
      '',
      'x',
      '192.0.2.0/33',
      '192.0.2.0/24 ',
      '::1%eth0',
      '::ffff:1.2.3.4.5',
      '::ffff:10.0.0.0/8',
      '1'.repeat(100_000),
    ].map((text) => ({
      request: { allowedIps: ['::1', text] },
      field: 'allowed_ips[1]',
      message: noNetwork,
    })),
    ...['', 'a.b', 'a_b', 'é', 'a b', '\0', '(a+)+$', 'x'.repeat(64), 'x'.repeat(100_000)].map((text) => ({
      request: { allowedSubdomains: ['a', text] },
      field: 'allowed_subdomains[1]',
      message: noPattern,
    })),
    { request: { allowedIps: Array(33).fill('::1') }, field: 'allowed_ips', message: 'must be at most 32' },
    {
      request: { allowedSubdomains: Array(50_000).fill('!') },
      field: 'allowed_subdomains',
      message: 'must be at most 32',
    },
  ])('refuses $field where it holds something else', async ({ request, field, message }) => {
    const user = keys.user()
    expect(await refused(user.createKey({ name: 'x', ...request }))).toEqual(invalid(field, message))
    expect(await rowsOf(user)).toEqual([])
  })

  it('names each that is at fault', async () => {
    const request = { name: 'x', allowedIps: ['a', '::1', 'b'], allowedSubdomains: ['.'] }
    const { fields } = await refused(keys.user().createKey(request))
    expect(fields?.map(({ field }) => field)).toEqual([
      'allowed_ips[0]',
      'allowed_ips[2]',
      'allowed_subdomains[0]',
    ])
  })
})
