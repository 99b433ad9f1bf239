import { connectPath } from '@instatunnel/kit/connect-request'
import type { ExplainKeyRequest } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { changeKey } from '../../test/change.ts'
import { invalid } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const LIST_TUNNELS = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
const auth = await startAuth({ LIMIT_READ_PER_MINUTE: '5', LIMIT_AUTH_PER_MINUTE: '3' })
afterAll(() => auth.close())

/** A user's key, and what is told of requests with it. */
async function aKey(fields: object = {}) {
  const { id: userId } = await auth.register()
  const { secret, key } = auth.neighbours.addKey({ userId, permissions: ['tunnels:read'], ...fields })
  const explain = async (request: Partial<ExplainKeyRequest> = {}) =>
    (await auth.internal.explainKey({ keyId: key.id, method: 'GET', path: '/v1/tunnels', ...request })).checks
  return {
    userId,
    secret,
    key,
    explain,
    /** The first check that it would not pass, in words. */
    stop: async (request: Partial<ExplainKeyRequest> = {}) => {
      const { name, message } = (await explain(request)).find(({ passed }) => !passed) ?? {}
      return name && `${name}: ${message}`
    },
  }
}
const namesOf = (checks: readonly { name: string }[]) => checks.map(({ name }) => name)

describe('ExplainKey', () => {
  it('tells every check of a request that would be admitted, in order', async () => {
    const { explain } = await aKey()
    expect(await explain()).toEqual(
      [
        ['route', 'GET /v1/tunnels is TunnelService.ListTunnels'],
        ['key', 'The key is known'],
        ['enabled', 'The key is enabled'],
        ['expiry', 'The key never expires'],
        ['allowed_ips', 'The key may be used from everywhere'],
        ['scope', 'The key holds tunnels:read'],
        ['rate_limit', '5 of 5 reading calls a minute are left'],
        ['key_rate_limit', 'No rate limit of its own holds the key back'],
        ['remaining', "The key's uses are not counted down"],
      ].map(([name, message]) => ({ name, passed: true, message })),
    )
  })

  it('stops where Check would, and tells all that comes after as well', async () => {
    const { key, explain, stop } = await aKey({
      enabled: false,
      expiresAt: new Date('2026-01-01T00:00:00Z'),
      allowedIps: ['192.0.2.0/24'],
      permissions: [],
    })
    const address = '203.0.113.7'
    const failing = (await explain({ address })).filter(({ passed }) => !passed)
    expect(namesOf(failing)).toEqual(['enabled', 'expiry', 'allowed_ips', 'scope'])
    expect(await stop({ address, path: '/v1/x' })).toBe('route: There is no GET /v1/x')
    expect(await stop({ address })).toBe('enabled: The key is disabled')
    await changeKey(auth, key, { enabled: true })
    expect(await stop({ address })).toBe('expiry: The key expired at 2026-01-01T00:00:00.000Z')
    await changeKey(auth, key, { expiresAt: undefined })
    expect(await stop({ address })).toBe('allowed_ips: The address 203.0.113.7 is not in 192.0.2.0/24')
    expect(await stop({ address: '192.0.2.7' })).toBe('scope: The key lacks tunnels:read')
    await changeKey(auth, key, { permissions: ['tunnels:read'] })
    expect(await stop({ address: '192.0.2.7' })).toBeUndefined()
    // Where no address is told, it says what one would be held against.
    expect(await stop()).toBeUndefined()
    expect((await explain())[4]?.message).toBe(
      'No address was told; the key may be used from 192.0.2.0/24 only',
    )
  })

  it('spends nothing, and sees what calls have spent', async () => {
    const { secret, explain, stop } = await aKey()
    const check = () => auth.check(LIST_TUNNELS, { bearer: secret })
    for (let n = 0; n < 10; n++) expect(await stop()).toBeUndefined()
    for (let left = 4; left >= 0; left--) {
      expect(await check()).toMatchObject({ admitted: true })
      const { message } = (await explain()).find(({ name }) => name === 'rate_limit') ?? {}
      if (left > 0) expect(message).toBe(`${left} of 5 reading calls a minute are left`)
    }
    expect(await stop()).toMatch(/^rate_limit: None of 5 reading calls a minute is left; try again in \d+ s$/)
    expect(await check()).toMatchObject({ status: 429 })
    // Writing has a window of its own.
    expect(await stop({ method: 'POST' })).toBe('scope: The key lacks tunnels:write')
  })

  it('spends nothing of a key that counts its uses, and tells what is left of them', async () => {
    const metering = { remaining: 2, window: { max: 3, ms: 60_000 } }
    const counted = { isMetered: true, rateLimitMax: 3, rateLimitTimeWindow: 60_000 }
    const { key, secret, explain, stop } = await aKey(counted)
    auth.neighbours.meters.meter(key.id, metering)
    const left = async () => (await explain()).slice(-2).map(({ message }) => message)
    const check = () => auth.check(LIST_TUNNELS, { bearer: secret })
    for (let n = 0; n < 20; n++)
      expect(await left()).toEqual(['3 of 3 calls in 60 s are left to the key', '2 uses remain'])
    expect(await check()).toMatchObject({ admitted: true })
    expect(await left()).toEqual(['2 of 3 calls in 60 s are left to the key', '1 use remains'])
    expect(await check()).toMatchObject({ admitted: true })
    expect(await stop()).toBe('remaining: No use remains')
    expect(await check()).toMatchObject({ status: 429, body: { error: 'usage_exceeded' } })
    // Where the window is what refuses, it is what is told first.
    auth.neighbours.meters.meter(key.id, { window: { max: 1, ms: 60_000 } })
    await auth.evict({ keys: [key.id] })
    expect(await check()).toMatchObject({ admitted: true })
    expect(await stop()).toMatch(
      /^key_rate_limit: None of 3 calls in 60 s is left to the key; try again in \d+ s$/,
    )
  })

  it("does not hold a key to its owner's limits where they are lifted", async () => {
    const { explain } = await aKey({ rateLimitEnabled: false })
    expect((await explain())[6]).toMatchObject({
      passed: true,
      message: "The key is not held to its owner's limits",
    })
  })

  it('looks at no key where everybody may call, and keeps what is left to an address to itself', async () => {
    const { key, explain } = await aKey()
    await changeKey(auth, key, { enabled: false })
    const request = { method: 'POST', path: '/v1/auth/login' }
    const address = '198.51.100.200'
    const before = await explain({ ...request, address })
    expect(before).toEqual([
      {
        name: 'route',
        passed: true,
        message: 'POST /v1/auth/login is open to everybody; no key is looked at',
      },
      {
        name: 'rate_limit',
        passed: true,
        message: 'Calls are limited per client address; how many are left to one is not told',
      },
    ])
    // Whoever may explain a key of their own could read from it who logs in, and when.
    for (let n = 0; n < 4; n++) await auth.check('/instatunnel.auth.v1.AuthService/Login', { address })
    expect(await explain({ ...request, address })).toEqual(before)
    expect(await explain(request)).toEqual(before)
  })

  it('stops at what only services call', async () => {
    const { stop } = await aKey()
    const path = '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys'
    expect(await stop({ method: 'POST', path })).toBe(
      `route: POST ${path} is for services of the platform only`,
    )
  })

  it('explains how an agent would connect', async () => {
    const { key, userId, explain, stop } = await aKey()
    const { tunnelId } = auth.neighbours.addTunnel({ userId, subdomain: 'docs-demo' })
    const path = connectPath(tunnelId)
    expect(await stop({ path })).toBe('scope: The key lacks tunnels:write')
    await changeKey(auth, key, { permissions: ['tunnels:write'], allowedSubdomains: ['docs-*'] })
    const checks = await explain({ path })
    expect(namesOf(checks)).toHaveLength(9)
    expect(checks[5]?.message).toBe('The key holds tunnels:write, and may connect docs-demo')
    expect(checks[6]?.message).toMatch(/^\d+ of \d+ connects of the tunnel a minute are left$/)
    await changeKey(auth, key, { allowedSubdomains: ['shop-*'] })
    const nowhere = `scope: There is no tunnel ${tunnelId} that the key may connect`
    expect(await stop({ path })).toBe(nowhere)
    expect(await stop({ path, method: 'POST' })).toMatch(/^route: There is no POST/)
  })

  it("tells nothing of another's tunnel: all is as if there were none", async () => {
    const { secret, explain } = await aKey({ permissions: ['tunnels:write'] })
    const { id: ownerId } = await auth.register()
    const { tunnelId } = auth.neighbours.addTunnel({ userId: ownerId, subdomain: 'shop-1' })
    const owners = auth.neighbours.addKey({ userId: ownerId, permissions: ['tunnels:write'] })
    const missing = 'tun_01h00000000000000000000000'
    const explained = async (id: string) =>
      JSON.parse(JSON.stringify(await explain({ path: connectPath(id) })).replaceAll(id, 'ID'))
    const connect = (bearer: string) => auth.check(connectPath(tunnelId), { bearer, access: 'connect' })
    const before = await explained(tunnelId)
    expect(before).toEqual(await explained(missing))
    expect(before.slice(5, 7)).toEqual([
      { name: 'scope', passed: false, message: 'There is no tunnel ID that the key may connect' },
      {
        name: 'rate_limit',
        passed: true,
        message:
          'Connects are limited per tunnel; how many are left is told of tunnels that the key may connect',
      },
    ])
    // Nor does what its owner does with it show.
    for (let n = 0; n < 3; n++) expect(await connect(owners.secret)).toMatchObject({ admitted: true })
    expect(await explained(tunnelId)).toEqual(before)
    expect(await connect(secret)).toMatchObject({ status: 404 })
  })

  it("stops at a session's key once the session has ended", async () => {
    const { token, id: userId } = await auth.register()
    const { key } = auth.neighbours.addKey({ userId, sessionId: String(decodeJwt(token).sid) })
    await auth.rest({ bearer: token }).logout()
    const { checks } = await auth.internal.explainKey({ keyId: key.id, method: 'GET', path: '/v1/tunnels' })
    expect(checks).toMatchObject([
      { name: 'route', passed: true },
      { name: 'key', passed: false, message: 'The session that the key belongs to has ended' },
    ])
  })

  it('finds no key that there is not, nor one of an account that is no more', async () => {
    const { key } = auth.neighbours.addKey({ userId: 'user_01h00000000000000000000000' })
    for (const keyId of ['key_01h00000000000000000000000', key.id])
      expect(
        await refused(auth.internal.explainKey({ keyId, method: 'GET', path: '/v1/tunnels' })),
      ).toMatchObject({ code: 'NOT_FOUND', reason: 'KEY_NOT_FOUND' })
    expect(
      await refused(auth.internal.explainKey({ keyId: 'x', method: 'GET', path: '/v1/tunnels' })),
    ).toEqual(invalid({ field: 'key_id', message: 'is not the id of a key' }))
  })

  it('is unavailable while keys is away, and while tunnels is where it matters', async () => {
    const { key, userId, explain } = await aKey()
    await changeKey(auth, key, { permissions: ['*'] })
    const { tunnelId } = auth.neighbours.addTunnel({ userId })
    auth.neighbours.away.tunnels = true
    expect(await refused(explain({ path: connectPath(tunnelId) }))).toMatchObject({ code: 'UNAVAILABLE' })
    expect(await explain()).toHaveLength(9)
    auth.neighbours.away.tunnels = false
    auth.neighbours.away.keys = true
    expect(await refused(explain())).toMatchObject({ code: 'UNAVAILABLE' })
    auth.neighbours.away.keys = false
  })
})
