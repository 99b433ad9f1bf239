import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { changeKey } from '../test/change.ts'
import { scopeMissing, unauthorized } from '../test/refusals.ts'
import { startAuth } from '../test/start-auth.ts'

const LIST_TUNNELS = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
const CREATE_TUNNEL = '/instatunnel.tunnels.v1.TunnelService/CreateTunnel'
const SECOND = 1000

const clock = { now: new Date('2026-07-01T12:00:00.500Z') }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const later = (ms: number) => new Date(clock.now.getTime() + ms)
const auth = await startAuth({ LIMIT_READ_PER_MINUTE: '3' }, { now: () => clock.now })
afterAll(() => auth.close())

const admitted = expect.objectContaining({ admitted: true })
const notFromThere = expect.objectContaining({
  admitted: false,
  code: 7,
  status: 403,
  body: { error: 'forbidden', message: 'This API key may not be used from this address', code: 4003 },
})

/** A user's key, and what Check and VerifyKey say of it. */
async function aKey(fields: Parameters<typeof auth.neighbours.addKey>[0] | object = {}) {
  const { id: userId } = await auth.register()
  const { secret, key } = auth.neighbours.addKey({ userId, permissions: ['tunnels:read'], ...fields })
  return {
    key,
    userId,
    secret,
    check: (address?: string | null, method = LIST_TUNNELS) =>
      auth.check(method, { bearer: secret, ...(address === undefined ? {} : { address }) }),
    verify: async (address?: string, permissions = ['tunnels:read']) =>
      auth.internal.verifyKey({ digest: digestOf(secret), permissions, ...(address && { address }) }),
  }
}

describe('a key with networks', () => {
  const allowedIps = ['192.0.2.0/24', '2001:db8:7::/48']

  it.each(['192.0.2.7', '::ffff:192.0.2.7', '2001:db8:7::1'])('is good from %s', async (address) => {
    const { check, verify } = await aKey({ allowedIps })
    expect(await check(address)).toEqual(admitted)
    expect(await verify(address)).toEqual({ code: 'VALID', retryAfter: undefined })
  })

  it.each(['203.0.113.7', '::192.0.2.7', '192.0.2.7, 203.0.113.7', '2001:db8:8::1%192.0.2.7', 'x'])(
    'is not from %j',
    async (address) => {
      const { check, verify } = await aKey({ allowedIps })
      expect(await check(address)).toEqual(notFromThere)
      expect(await verify(address)).toMatchObject({ code: 'FORBIDDEN_IP' })
    },
  )

  it.each(['::/0', '::/8', '::ffff:0:0/8'])(
    'is good from no IPv4 address where it has %s',
    async (network) => {
      const { check, verify } = await aKey({ allowedIps: [network] })
      for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207']) {
        expect(await check(address)).toEqual(notFromThere)
        expect(await verify(address)).toMatchObject({ code: 'FORBIDDEN_IP' })
      }
    },
  )

  it('is good from nowhere where no address is known: from the gateway, in VerifyKey, of a direct call', async () => {
    const { check, verify, secret } = await aKey({ allowedIps: ['0.0.0.0/0', '::/0'] })
    expect(await check(null)).toEqual(notFromThere)
    expect(await check('')).toEqual(notFromThere)
    expect(await verify()).toMatchObject({ code: 'FORBIDDEN_IP' })
    const call = auth.internal.authenticate({ bearer: secret, method: LIST_TUNNELS })
    expect(await refused(call)).toMatchObject({ reason: 'ADDRESS_NOT_ALLOWED', http: 403 })
    expect(await check('203.0.113.7')).toEqual(admitted)
  })

  it('tells its address before its scope, and counts neither', async () => {
    const { check } = await aKey({ allowedIps })
    for (let n = 0; n < 5; n++) {
      expect(await check('203.0.113.7', CREATE_TUNNEL)).toEqual(notFromThere)
      expect(await check('192.0.2.7', CREATE_TUNNEL)).toMatchObject(scopeMissing('tunnels:write'))
    }
    expect(await check('192.0.2.7')).toMatchObject({ responseHeaders: { 'ratelimit-remaining': '2' } })
  })

  it('is 401 from everywhere once it is disabled: an address tells nobody that the key is one', async () => {
    const { key, check } = await aKey({ allowedIps })
    await changeKey(auth, key, { enabled: false })
    for (const address of ['192.0.2.7', '203.0.113.7']) expect(await check(address)).toEqual(unauthorized)
  })
})

describe('an old secret', () => {
  const old = () => ({ deprecatedAt: later(-10 * SECOND), sunsetAt: later(10 * SECOND) })
  const told = { deprecation: '@1782907190', sunset: 'Wed, 01 Jul 2026 12:00:10 GMT' }

  it('works until its sunset, to the moment, and says so with every answer of the key', async () => {
    const { check, verify, userId } = await aKey(old())
    expect(await check()).toMatchObject({ admitted: true, responseHeaders: told })
    expect(await check(undefined, CREATE_TUNNEL)).toMatchObject({ status: 403, headers: told })
    await check()
    await check()
    expect(await check()).toMatchObject({ status: 429, headers: told })
    expect(await verify()).toMatchObject({ code: 'VALID' })
    pass(10 * SECOND - 1)
    expect(await verify()).toMatchObject({ code: 'VALID' })
    expect(await check(undefined, CREATE_TUNNEL)).toMatchObject({ status: 403 })
    pass(1)
    expect(await check()).toEqual(unauthorized)
    expect(await verify()).toMatchObject({ code: 'NOT_FOUND' })
    // The secret that replaced it says nothing of the kind.
    pass(60 * SECOND)
    const { secret } = auth.neighbours.addKey({ userId })
    const { responseHeaders } = (await auth.check(LIST_TUNNELS, { bearer: secret })) as {
      responseHeaders: object
    }
    expect(Object.keys(responseHeaders)).toEqual([
      'ratelimit-limit',
      'ratelimit-remaining',
      'ratelimit-reset',
    ])
  })

  it('says nothing with a 401, which tells no key from another', async () => {
    const { key, check } = await aKey({ deprecatedAt: later(-SECOND), sunsetAt: later(60 * SECOND) })
    await changeKey(auth, key, { enabled: false })
    expect(await check()).toEqual(unauthorized)
  })
})

describe('a key whose limits are lifted', () => {
  it("is not held to its owner's, and leaves them whole", async () => {
    const { userId, check } = await aKey({ rateLimitEnabled: false })
    for (let n = 0; n < 10; n++) expect(await check()).toMatchObject({ admitted: true, responseHeaders: {} })
    const { secret } = auth.neighbours.addKey({ userId })
    expect(await auth.check(LIST_TUNNELS, { bearer: secret })).toMatchObject({
      responseHeaders: { 'ratelimit-remaining': '2' },
    })
  })
})

describe('what was remembered of a key', () => {
  it('does not outlive its expiry, nor its session', async () => {
    const { check, verify } = await aKey({ expiresAt: later(5 * SECOND) })
    const { apiKey } = await auth.register()
    expect(await check()).toEqual(admitted)
    pass(5 * SECOND - 1)
    expect(await check()).toEqual(admitted)
    pass(1)
    expect(await check()).toEqual(unauthorized)
    expect(await verify()).toMatchObject({ code: 'EXPIRED' })
    pass(7 * 24 * 60 * 60 * SECOND - 10 * SECOND)
    expect(await auth.check(LIST_TUNNELS, { bearer: apiKey })).toEqual(admitted)
    pass(10 * SECOND)
    expect(await auth.check(LIST_TUNNELS, { bearer: apiKey })).toEqual(unauthorized)
  })
})
