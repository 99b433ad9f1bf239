import { connectPath } from '@instatunnel/kit/connect-request'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { changeKey } from '../test/change.ts'
import type { Metering } from '../test/meters.ts'
import { scopeMissing, unauthorized } from '../test/refusals.ts'
import { startAuth } from '../test/start-auth.ts'

const LIST_TUNNELS = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
const CREATE_TUNNEL = '/instatunnel.tunnels.v1.TunnelService/CreateTunnel'
const SECOND = 1000
const MINUTE = 60 * SECOND

const clock = { now: new Date('2026-07-01T12:00:00.500Z') }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const auth = await startAuth({ LIMIT_READ_PER_MINUTE: '10' }, { now: () => clock.now })
afterAll(() => auth.close())

const admitted = expect.objectContaining({ admitted: true })
const usedUp = expect.objectContaining({
  admitted: false,
  code: 8,
  status: 429,
  headers: { 'content-type': 'application/json' },
  body: { error: 'usage_exceeded', message: "The API key's uses are spent", code: 4030 },
})

/** A user's key that counts its uses, and what Check and VerifyKey say of it. */
async function aKey(metering: Metering, fields: object = {}) {
  const { id: userId, token } = await auth.register()
  const { window } = metering
  const { secret, key } = auth.neighbours.addKey({
    userId,
    permissions: ['tunnels:read'],
    isMetered: true,
    rateLimitMax: window?.max,
    rateLimitTimeWindow: window?.ms,
    ...fields,
  })
  auth.neighbours.meters.meter(key.id, metering)
  const check = (method = LIST_TUNNELS, call = {}) => auth.check(method, { bearer: secret, ...call })
  return {
    key,
    userId,
    secret,
    check,
    /** How many of so many calls at once are admitted. */
    async admits(calls: number) {
      const checked = await Promise.all(Array.from({ length: calls }, () => check()))
      return checked.filter((decision) => decision.admitted).length
    },
    verify: (permissions = ['tunnels:read']) =>
      auth.internal.verifyKey({ digest: digestOf(secret), permissions }),
    left: () => auth.neighbours.meters.leftOf(key.id),
    /** Has what is leased given back, so that what is left can be seen. */
    settle: () => auth.internal.explainKey({ keyId: key.id, method: 'GET', path: '/v1/tunnels' }),
    /** How many reading calls the owner has left, this one counted. */
    async ownerHas() {
      const { responseHeaders = {} } = (await auth.check(LIST_TUNNELS, { bearer: token })) as {
        responseHeaders?: Record<string, string>
      }
      return Number(responseHeaders['ratelimit-remaining'])
    },
  }
}

describe('a key whose uses are counted down', () => {
  it('admits so many and no more, whatever uses it', async () => {
    const { check, verify } = await aKey({ remaining: 3 })
    expect(await check()).toEqual(admitted)
    expect(await verify()).toMatchObject({ code: 'VALID' })
    expect(await check()).toEqual(admitted)
    expect(await check()).toEqual(usedUp)
    expect(await verify()).toEqual({ code: 'USAGE_EXCEEDED', retryAfter: undefined })
  })

  it('admits so many of many that come at once', async () => {
    const { admits, left, settle } = await aKey({ remaining: 7 })
    expect(await admits(50)).toBe(7)
    await settle()
    expect(left()).toEqual({ remaining: 0, window: undefined })
  })

  it('tells when it is refilled, and works again from then on', async () => {
    const { check, verify } = await aKey({ remaining: 1, refill: { amount: 2, intervalMs: 90 * SECOND } })
    expect(await check()).toEqual(admitted)
    expect(await check()).toMatchObject({
      status: 429,
      headers: { 'retry-after': '90' },
      body: { error: 'usage_exceeded', code: 4030, retry_after: 90 },
    })
    pass(30 * SECOND)
    expect(await verify()).toEqual({ code: 'USAGE_EXCEEDED', retryAfter: 60 })
    pass(60 * SECOND)
    for (let n = 0; n < 2; n++) expect(await check()).toEqual(admitted)
    expect(await check()).toMatchObject({ status: 429 })
  })

  it("gives its owner's window back what it refuses", async () => {
    const { admits, ownerHas } = await aKey({ remaining: 2 })
    expect(await admits(6)).toBe(2)
    expect(await ownerHas()).toBe(10 - 2 - 1)
  })

  it('counts down also where its limits are lifted', async () => {
    const { admits, ownerHas } = await aKey({ remaining: 12 }, { rateLimitEnabled: false })
    expect(await admits(20)).toBe(12)
    expect(await ownerHas()).toBe(9)
  })
})

describe('a key with a window of its own', () => {
  const window = { max: 3, ms: 20 * SECOND }

  it('is told of that window where that is what refuses', async () => {
    const { check, verify, admits } = await aKey({ window })
    expect(await check()).toMatchObject({ admitted: true, responseHeaders: { 'ratelimit-limit': '10' } })
    pass(5 * SECOND)
    expect(await admits(5)).toBe(2)
    expect(await check()).toEqual({
      admitted: false,
      code: 8,
      status: 429,
      headers: {
        'content-type': 'application/json',
        'ratelimit-limit': '3',
        'ratelimit-remaining': '0',
        'ratelimit-reset': '15',
        'retry-after': '15',
      },
      body: {
        error: 'rate_limited',
        message: "The API key's own rate limit is exceeded",
        code: 4029,
        retry_after: 15,
      },
    })
    expect(await verify()).toEqual({ code: 'RATE_LIMITED', retryAfter: 15 })
    pass(15 * SECOND)
    expect(await admits(5)).toBe(1)
  })

  it("is told of its owner's first, and then spends nothing", async () => {
    const { key, userId, check, left, settle } = await aKey({ window })
    const { secret: other } = auth.neighbours.addKey({ userId })
    for (let n = 0; n < 10; n++) expect(await auth.check(LIST_TUNNELS, { bearer: other })).toEqual(admitted)
    for (let n = 0; n < 5; n++)
      expect(await check()).toMatchObject({ status: 429, headers: { 'ratelimit-limit': '10' } })
    await settle()
    expect(left()).toEqual({ remaining: undefined, window: 3 })
    expect(key.isMetered).toBe(true)
  })
})

describe('what is refused', () => {
  it('spends nothing of the key', async () => {
    const { key, check, verify, left, settle } = await aKey(
      { remaining: 5, window: { max: 5, ms: MINUTE } },
      { allowedIps: ['203.0.113.0/24'] },
    )
    for (let n = 0; n < 3; n++) {
      expect(await check(CREATE_TUNNEL)).toMatchObject(scopeMissing('tunnels:write'))
      expect(await check(LIST_TUNNELS, { address: '192.0.2.1' })).toMatchObject({ status: 403 })
      expect(await verify()).toMatchObject({ code: 'FORBIDDEN_IP' })
    }
    await changeKey(auth, key, { enabled: false })
    expect(await check()).toEqual(unauthorized)
    await changeKey(auth, key, { enabled: true, expiresAt: clock.now })
    expect(await check()).toEqual(unauthorized)
    await changeKey(auth, key, { expiresAt: undefined })
    await settle()
    expect(left()).toEqual({ remaining: 5, window: 5 })
  })

  it("is nobody's to pass where keys cannot say what is left, and costs the owner's window nothing", async () => {
    const { check, verify, ownerHas } = await aKey({ remaining: 5 })
    const { check: other } = await aKey({ remaining: 1 })
    for (const first of [check, other]) expect(await first(CREATE_TUNNEL)).toMatchObject({ status: 403 })
    auth.neighbours.away.keys = true
    await expect(check()).rejects.toMatchObject({ code: 14 })
    expect(await refused(verify())).toMatchObject({ code: 'UNAVAILABLE' })
    auth.neighbours.away.keys = false
    expect(await ownerHas()).toBe(9)
    expect(await check()).toEqual(admitted)
  })
})

describe('a key that is counted no more', () => {
  it('is decided about by what it is now, though no one said that it has changed', async () => {
    const { key, check } = await aKey({ remaining: 1 })
    expect(await check(CREATE_TUNNEL)).toMatchObject({ status: 403 })
    key.isMetered = false
    auth.neighbours.meters.forget(key.id)
    for (let n = 0; n < 3; n++) expect(await check()).toEqual(admitted)
  })

  it('is 401 where it was revoked meanwhile', async () => {
    const { key, check } = await aKey({ remaining: 1 })
    expect(await check(CREATE_TUNNEL)).toMatchObject({ status: 403 })
    auth.neighbours.revokeKey(key.id)
    auth.neighbours.meters.forget(key.id)
    expect(await check()).toEqual(unauthorized)
  })
})

describe('an agent with such a key', () => {
  it('spends one use where it is admitted, none where it is not, and none while it is connected', async () => {
    const { key, userId, secret, left, settle } = await aKey(
      { remaining: 2 },
      { permissions: ['tunnels:write'] },
    )
    const { tunnelId } = auth.neighbours.addTunnel({ userId })
    const connect = (to = tunnelId) => auth.check(connectPath(to), { access: 'connect', bearer: secret })
    expect(await connect()).toEqual(admitted)
    for (let n = 0; n < 3; n++)
      expect(await connect('tun_01h00000000000000000000000')).toMatchObject({ status: 404 })
    const connection = { tunnelId, credentialType: 'api_key', credentialId: key.id }
    for (let n = 0; n < 3; n++)
      expect(await auth.internal.checkConnection(connection)).toMatchObject({ reason: '' })
    await settle()
    expect(left()).toEqual({ remaining: 1, window: undefined })
    expect(await connect()).toEqual(admitted)
    for (let n = 0; n < 3; n++) expect(await connect()).toEqual(usedUp)
    // Nor has the tunnel's window counted what the key refused: the next is its third.
    const { secret: other } = auth.neighbours.addKey({ userId })
    const third = await auth.check(connectPath(tunnelId), { access: 'connect', bearer: other })
    expect(third).toMatchObject({ responseHeaders: { 'ratelimit-remaining': '99997' } })
    // Without a use left, what is connected lives on.
    expect(await auth.internal.checkConnection(connection)).toMatchObject({ reason: '' })
  })
})
