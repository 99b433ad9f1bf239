import { createConnectVerifier } from '@instatunnel/kit/connect'
import { connectPath } from '@instatunnel/kit/connect-request'
import { createIdentityVerifier } from '@instatunnel/kit/identity'
import type { Plan } from '@instatunnel/kit/plans'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { changeKey, changeUser } from '../test/change.ts'
import type { Checked, RestCall } from '../test/check.ts'
import { scopeMissing, unauthorized } from '../test/refusals.ts'
import { type StartedAuth, startAuth } from '../test/start-auth.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

const clock = { now: new Date() }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const now = () => clock.now
const auth = await startAuth({}, { now })
afterAll(() => auth.close())

/** An agent's request, as the gateway asks about it. */
const connect = (path: string, call: RestCall = {}, { check }: Pick<StartedAuth, 'check'> = auth) =>
  check(path, { access: 'connect', ...call })

const admitted = expect.objectContaining({ admitted: true })
const refused = (status: number, body: object) => expect.objectContaining({ admitted: false, status, body })
const notFound = refused(404, { error: 'not_found', message: 'Tunnel not found', code: 4004 })
const nothingHere = refused(404, {
  error: 'not_found',
  message: 'There is nothing at this path.',
  code: 4004,
})
const planLimit = (message: string) => refused(403, { error: 'plan_limit', message, code: 4013 })
const connectsOnly = refused(403, {
  error: 'forbidden',
  message: "A tunnel's token is good for connecting that tunnel only",
  code: 4003,
})

/** A user with a tunnel, and where agents connect it. */
async function tunnelOwner() {
  const owner = await auth.register()
  const tunnel = auth.neighbours.addTunnel({ userId: owner.id, subdomain: 'my-app' })
  const { tunnelId } = tunnel
  const token = auth.neighbours.addTunnelToken({ tunnelId, userId: owner.id })
  return { owner, tunnel, path: connectPath(tunnelId), tunnelToken: token }
}

const setPlan = (id: string, plan: Plan) => changeUser(auth, id, { plan })

const connectTokenIn = (checked: Checked) =>
  checked.admitted ? (checked.headers['x-instatunnel-connect'] as string) : ''

/** What the relay would read in the connect token. */
const grantIn = (checked: Checked) =>
  createConnectVerifier({ listKeys: async () => (await auth.internal.listIdentityKeys()).keys, now })(
    connectTokenIn(checked),
  )

describe('an agent', () => {
  it('is given a connect token and nothing of its credential, and told where it stands', async () => {
    const { owner, path } = await tunnelOwner()
    const checked = await connect(path, { bearer: owner.apiKey })
    expect(checked).toEqual({
      admitted: true,
      headers: { 'x-instatunnel-connect': expect.stringMatching(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/) },
      removed: ['authorization', 'cookie'],
      responseHeaders: {
        'ratelimit-limit': '100000',
        'ratelimit-remaining': '99999',
        'ratelimit-reset': '60',
      },
    })
  })

  it('connects with a key: the token names user, tunnel, plan and key, for a minute', async () => {
    const { owner, tunnel, path } = await tunnelOwner()
    tunnel.tokenGeneration = 2
    const expiresAt = new Date(now().getTime() + DAY)
    const { secret, key } = auth.neighbours.addKey({
      userId: owner.id,
      permissions: ['tunnels:write'],
      expiresAt,
    })
    const checked = await connect(path, { bearer: secret })
    const issuedAt = Math.floor(now().getTime() / 1000)
    expect(await grantIn(checked)).toEqual({
      userId: owner.id,
      issuedAt,
      tunnel: { id: tunnel.tunnelId, subdomain: 'my-app', tokenGeneration: 2 },
      plan: 'free',
      mode: '',
      credential: {
        type: 'api_key',
        id: key.id,
        secretGeneration: 0,
        expiresAt: expiresAt.getTime() / 1000,
        expiryReason: 'key_expired',
      },
      address: '203.0.113.7',
    })
    expect(decodeJwt(connectTokenIn(checked))).toMatchObject({
      aud: 'instatunnel-relay',
      exp: issuedAt + 60,
    })
    // A key without an end has none in the token either.
    await changeKey(auth, key, { expiresAt: undefined })
    const { credential } = await grantIn(await connect(path, { bearer: secret }))
    expect(credential).toEqual({ type: 'api_key', id: key.id, secretGeneration: 0 })
  })

  it("connects with a session or the session's key, both of which end with it", async () => {
    const { owner, path } = await tunnelOwner()
    const sessionId = decodeJwt(owner.token).sid as string
    const [session] = await auth.sql`select expires_at from sessions where id = ${sessionId}`
    const expiresAt = session?.expiresAt.getTime() / 1000
    const end = { expiresAt, expiryReason: 'session_expired' }
    const bySession = { type: 'session', id: sessionId, sessionId, ...end }
    for (const call of [{ bearer: owner.token }, { cookie: `instatunnel_session=${owner.token}` }])
      expect((await grantIn(await connect(path, call))).credential).toEqual(bySession)
    const byKey = (await grantIn(await connect(path, { bearer: owner.apiKey }))).credential
    const id = expect.stringMatching(/^key_/)
    expect(byKey).toEqual({ type: 'api_key', id, sessionId, secretGeneration: 0, ...end })
  })

  it('connects with an old secret: the token names it, and ends with its grace period', async () => {
    const { owner, path } = await tunnelOwner()
    const sunsetAt = new Date(now().getTime() + MINUTE)
    const { secret, key } = auth.neighbours.addKey({
      userId: owner.id,
      deprecatedAt: now(),
      sunsetAt,
      secretGeneration: 4,
      expiresAt: new Date(now().getTime() + DAY),
    })
    expect((await grantIn(await connect(path, { bearer: secret }))).credential).toEqual({
      type: 'api_key',
      id: key.id,
      secretGeneration: 4,
      expiresAt: sunsetAt.getTime() / 1000,
      expiryReason: 'key_rotated',
    })
  })

  it("connects with the tunnel's own token", async () => {
    const { owner, tunnel, path, tunnelToken } = await tunnelOwner()
    expect(await grantIn(await connect(path, { bearer: tunnelToken }))).toMatchObject({
      userId: owner.id,
      tunnel: { id: tunnel.tunnelId, subdomain: 'my-app', tokenGeneration: 0 },
      plan: 'free',
      mode: '',
      credential: { type: 'tunnel_token', id: tunnel.tunnelId },
    })
  })

  it('gets a token of its own each time, and none that passes for an identity or a credential', async () => {
    const { owner, path } = await tunnelOwner()
    const token = connectTokenIn(await connect(path, { bearer: owner.token }))
    pass(1000)
    expect(connectTokenIn(await connect(path, { bearer: owner.token }))).not.toBe(token)
    const { keys } = await auth.internal.listIdentityKeys()
    const verifyIdentity = createIdentityVerifier({ listKeys: async () => keys, now })
    await expect(verifyIdentity(token)).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' })
    expect(await connect(path, { bearer: token })).toEqual(unauthorized)
    expect(await auth.check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer: token })).toEqual(
      unauthorized,
    )
  })

  it('is refused without a credential, and with a wrong one', async () => {
    const { path } = await tunnelOwner()
    expect(await connect(path)).toEqual(unauthorized)
    for (const bearer of ['it_0123456789abcdef', `itt_${'x'.repeat(32)}`, 'eyJ.a.b', 'x'])
      expect(await connect(path, { bearer }), bearer).toEqual(unauthorized)
  })

  it('is refused with a key that is disabled, has expired or is revoked', async () => {
    const { owner, path } = await tunnelOwner()
    const expiresAt = new Date(now().getTime() + MINUTE)
    const { secret: bearer, key } = auth.neighbours.addKey({ userId: owner.id, expiresAt })
    await changeKey(auth, key, { enabled: false })
    expect(await connect(path, { bearer })).toEqual(unauthorized)
    await changeKey(auth, key, { enabled: true })
    expect(await connect(path, { bearer })).toEqual(admitted)
    pass(MINUTE)
    expect(await connect(path, { bearer })).toEqual(unauthorized)
    await changeKey(auth, key, { expiresAt: undefined })
    await auth.rest({ bearer }).logout()
    expect(await connect(path, { bearer })).toEqual(unauthorized)
  })

  it("is refused with a session that has ended, and with that session's key", async () => {
    const { owner, path } = await tunnelOwner()
    await auth.rest({ bearer: owner.token }).logout()
    for (const bearer of [owner.token, owner.apiKey])
      expect(await connect(path, { bearer })).toEqual(unauthorized)
  })

  it('is refused by its scope: a key that may only read, or was narrowed', async () => {
    const { owner, path } = await tunnelOwner()
    const { secret: bearer, key } = auth.neighbours.addKey({ userId: owner.id })
    expect(await connect(path, { bearer })).toEqual(admitted)
    await changeKey(auth, key, { permissions: ['tunnels:delete', 'tunnels:read', 'tunnels:stats'] })
    expect(await connect(path, { bearer })).toMatchObject(scopeMissing('tunnels:write'))
    // What is wrong with its path is not told to whom may not ask.
    expect(await connect(`${path}?mode=x`, { bearer })).toMatchObject(scopeMissing('tunnels:write'))
  })
})

describe('a restricted key', () => {
  const permissions = ['tunnels:write']

  it('connects the tunnels whose subdomains it may have; others are as those that there are not', async () => {
    const { owner, tunnel, path } = await tunnelOwner()
    const key = (allowedSubdomains: string[]) =>
      auth.neighbours.addKey({ userId: owner.id, permissions, allowedSubdomains }).secret
    for (const patterns of [['my-*'], ['docs', 'm?-app'], ['*']])
      expect(await connect(path, { bearer: key(patterns) })).toEqual(admitted)
    for (const patterns of [['docs-*'], ['my-app-*'], ['my'], ['MY-APP']])
      expect(await connect(path, { bearer: key(patterns) })).toEqual(notFound)
    // Nor does the plan tell that there is such a tunnel.
    tunnel.olderTunnels = 1000
    expect(await connect(path, { bearer: key(['docs-*']) })).toEqual(notFound)
    expect(await connect(`${path}?mode=mcp`, { bearer: key(['docs-*']) })).toEqual(notFound)
  })

  it('connects from its networks only', async () => {
    const { owner, path } = await tunnelOwner()
    const allowedIps = ['192.0.2.0/24']
    const { secret: bearer } = auth.neighbours.addKey({ userId: owner.id, permissions, allowedIps })
    expect(await connect(path, { bearer, address: '::ffff:192.0.2.7' })).toEqual(admitted)
    for (const address of ['203.0.113.7', '192.0.2.7, 203.0.113.7', '', null])
      expect(await connect(path, { bearer, address })).toEqual(
        refused(403, {
          error: 'forbidden',
          message: 'This API key may not be used from this address',
          code: 4003,
        }),
      )
  })

  it('is told that its secret is old, whether it connects or not', async () => {
    const { owner, path } = await tunnelOwner()
    const deprecatedAt = new Date(now().getTime() - MINUTE)
    const sunsetAt = new Date(now().getTime() + MINUTE)
    const { secret: bearer } = auth.neighbours.addKey({ userId: owner.id, deprecatedAt, sunsetAt })
    const told = {
      deprecation: `@${Math.floor(deprecatedAt.getTime() / 1000)}`,
      sunset: sunsetAt.toUTCString(),
    }
    expect(await connect(path, { bearer })).toMatchObject({ admitted: true, responseHeaders: told })
    expect(await connect(connectPath('x'), { bearer })).toMatchObject({ status: 404, headers: told })
    pass(MINUTE)
    expect(await connect(path, { bearer })).toEqual(unauthorized)
  })
})

describe("another user's tunnel", () => {
  it('is as one that there is not, for users and admins alike', async () => {
    const { path } = await tunnelOwner()
    const [other, admin] = [await auth.register(), await auth.registerAdmin()]
    const bearers = [other.token, other.apiKey, admin.token, admin.apiKey]
    const { secret } = auth.neighbours.addKey({ userId: other.id, permissions: ['*'] })
    for (const bearer of [...bearers, secret]) {
      expect(await connect(path, { bearer })).toEqual(notFound)
      expect(await connect(connectPath('tun_01h00000000000000000000000'), { bearer })).toEqual(notFound)
    }
  })

  it('is not told of by the plan either', async () => {
    const { tunnel, path } = await tunnelOwner()
    tunnel.olderTunnels = 1000
    const { token } = await auth.register()
    expect(await connect(path, { bearer: token })).toEqual(notFound)
    expect(await connect(`${path}?mode=mcp`, { bearer: token })).toEqual(notFound)
  })

  it("is not connected with a tunnel's token: not of another user, and not of the same", async () => {
    const { owner, path } = await tunnelOwner()
    const second = auth.neighbours.addTunnel({ userId: owner.id, olderTunnels: 1 })
    const tokenOfSecond = { tunnelId: second.tunnelId, userId: owner.id }
    const { tunnelToken: strange } = await tunnelOwner()
    for (const bearer of [auth.neighbours.addTunnelToken(tokenOfSecond), strange]) {
      expect(await connect(path, { bearer })).toEqual(connectsOnly)
      expect(await connect(connectPath('tun_01h00000000000000000000000'), { bearer })).toEqual(connectsOnly)
      expect(await connect(connectPath('x'), { bearer })).toEqual(connectsOnly)
    }
  })
})

describe("a tunnel's token", () => {
  it('is wrong once another has replaced it, though it was looked up before', async () => {
    const { tunnel, path, tunnelToken } = await tunnelOwner()
    tunnel.tokenGeneration = 1
    expect(await connect(path, { bearer: tunnelToken })).toEqual(unauthorized)
    const { tunnelId, userId } = tunnel
    const bearer = auth.neighbours.addTunnelToken({ tunnelId, userId, tokenGeneration: 1 })
    expect((await grantIn(await connect(path, { bearer }))).tunnel.tokenGeneration).toBe(1)
  })

  it('is of a tunnel that is gone when it was deleted in between', async () => {
    const { tunnel, path, tunnelToken } = await tunnelOwner()
    auth.neighbours.deleteTunnel(tunnel)
    expect(await connect(path, { bearer: tunnelToken })).toEqual(notFound)
  })

  it("needs its tunnel's user: without an account it is nobody's", async () => {
    const userId = 'user_01h00000000000000000000000'
    const { tunnelId } = auth.neighbours.addTunnel({ userId })
    const bearer = auth.neighbours.addTunnelToken({ tunnelId, userId })
    expect(await connect(connectPath(tunnelId), { bearer })).toEqual(unauthorized)
  })

  it('does not connect by the cookie', async () => {
    const { path, tunnelToken } = await tunnelOwner()
    expect(await connect(path, { cookie: `instatunnel_session=${tunnelToken}` })).toEqual(unauthorized)
  })
})

describe("a session's cookie", () => {
  it.each([
    { origin: 'https://evil.example' },
    { origin: 'http://my-app.localhost:8080' },
    { origin: 'null' },
    { fetchSite: 'cross-site' },
    { fetchSite: 'same-site' },
    { origin: 'http://localhost:8080', fetchSite: 'cross-site' },
  ])('connects nothing from another site: %j', async (from) => {
    const { owner, path } = await tunnelOwner()
    const cookie = `instatunnel_session=${owner.token}`
    const message = 'The session cookie admits no changes from another site; send the token as a bearer'
    expect(await connect(path, { cookie, ...from })).toEqual(
      refused(403, { error: 'forbidden', message, code: 4003 }),
    )
    expect(await connect(path, { cookie, origin: 'http://localhost:8080' })).toEqual(admitted)
    expect(await connect(path, { bearer: owner.token, ...from })).toEqual(admitted)
  })
})

describe('the path', () => {
  it.each([
    'x',
    'tun_',
    'tun_01H00000000000000000000000',
    'tun_01h0000000000000000000000',
    'tun_01h00000000000000000000000%00',
    'tun%5f01h00000000000000000000000',
    'key_01h00000000000000000000000',
    '__proto__',
    '..',
    "tun_' or true --",
    'x'.repeat(300),
  ])('with %j for an id names no tunnel, and nobody is asked for it', async (id) => {
    const { token } = await auth.register()
    const before = auth.neighbours.lookUps()
    expect(await connect(`/v1/tunnels/${id}/connect`, { bearer: token })).toEqual(notFound)
    expect(auth.neighbours.lookUps()).toBe(before)
  })

  it.each([
    '',
    '/',
    '/v1/tunnels',
    '/v1/tunnels//connect',
    '/v1/tunnels/tun_01h00000000000000000000000',
    '/v1/tunnels/tun_01h00000000000000000000000/connect/',
    '/v1/tunnels/tun_01h00000000000000000000000/x/connect',
    '/instatunnel.auth.v1.AuthService/WhoAmI',
    '/instatunnel.auth.v1.AuthService/Login',
    '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys',
  ])('%j connects nothing, whatever the route says', async (path) => {
    const { token } = await auth.register()
    for (const call of [{ bearer: token }, {}]) expect(await connect(path, call)).toEqual(nothingHere)
  })

  it.each([undefined, '', 'Connect', 'connect ', 'rpc', '__proto__'])(
    'connects nothing where the route says %j and not connect',
    async (access) => {
      const { owner, path } = await tunnelOwner()
      const call = { bearer: owner.token, ...(access !== undefined && { access }) }
      expect(await auth.check(path, call)).toEqual(nothingHere)
    },
  )

  it.each([
    ['mode=', { field: 'mode', message: 'must be mcp' }],
    ['mode=http', { field: 'mode', message: 'must be mcp' }],
    ['mode=MCP', { field: 'mode', message: 'must be mcp' }],
    ['mode=mcp&mode=', { field: 'mode', message: 'must stand once' }],
    ['plan=business', { field: 'plan', message: 'is no parameter of this call' }],
  ])('with ?%s is refused with the parameter at fault', async (query, fault) => {
    const { owner, path } = await tunnelOwner()
    await setPlan(owner.id, 'pro')
    const message = `${fault.field}: ${fault.message}`
    expect(await connect(`${path}?${query}`, { bearer: owner.token })).toEqual(
      refused(400, { error: 'validation_error', message, code: 4000, fields: [fault] }),
    )
  })
})

describe('the plan', () => {
  it('allows as many tunnels as it has, the oldest first, whatever connects them', async () => {
    const { owner, tunnel, path, tunnelToken } = await tunnelOwner()
    const bearers = [owner.token, owner.apiKey, tunnelToken]
    const all = (expected: unknown) =>
      Promise.all(bearers.map(async (bearer) => expect(await connect(path, { bearer })).toEqual(expected)))
    tunnel.olderTunnels = 2
    await all(admitted)
    tunnel.olderTunnels = 3
    await all(
      planLimit(
        'The free plan allows 3 tunnels at a time; delete an older one first, or move to a larger plan',
      ),
    )
    await setPlan(owner.id, 'pro')
    await all(admitted)
    tunnel.olderTunnels = 25
    await all(
      planLimit(
        'The pro plan allows 25 tunnels at a time; delete an older one first, or move to a larger plan',
      ),
    )
    await setPlan(owner.id, 'business')
    await all(admitted)
    tunnel.olderTunnels = 250
    await all(planLimit('The business plan allows 250 tunnels at a time; delete an older one first'))
  })

  it('decides about MCP: not free, but pro and business', async () => {
    const { owner, path, tunnelToken } = await tunnelOwner()
    for (const bearer of [owner.token, owner.apiKey, tunnelToken]) {
      await setPlan(owner.id, 'free')
      expect(await connect(`${path}?mode=mcp`, { bearer })).toEqual(
        planLimit('The free plan does not allow MCP endpoints; move to pro or business'),
      )
      expect(await connect(path, { bearer })).toEqual(admitted)
      for (const plan of ['pro', 'business'] as const) {
        await setPlan(owner.id, plan)
        expect(await grantIn(await connect(`${path}?mode=mcp`, { bearer }))).toMatchObject({
          mode: 'mcp',
          plan,
        })
      }
    }
  })
})

describe('the limit', () => {
  /** A service that admits so many a minute, with a tunnel of its own. */
  async function limited(settings: Record<string, string>) {
    const started = await startAuth(settings, { now })
    const { id, token, apiKey } = await started.register()
    const tunnel = started.neighbours.addTunnel({ userId: id })
    const { tunnelId } = tunnel
    const tunnelToken = started.neighbours.addTunnelToken({ tunnelId, userId: id })
    const path = connectPath(tunnelId)
    const check = (call: RestCall, to = path) => connect(to, call, started)
    return { started, id, tunnel, path, token, apiKey, tunnelToken, check }
  }

  it('counts connects per tunnel, whatever with and wherever from', async () => {
    const { started, id, token, apiKey, tunnelToken, check } = await limited({
      LIMIT_CONNECT_PER_MINUTE: '3',
    })
    expect(await check({ bearer: token, address: '203.0.113.1' })).toMatchObject({
      responseHeaders: { 'ratelimit-limit': '3', 'ratelimit-remaining': '2', 'ratelimit-reset': '60' },
    })
    pass(20_000)
    for (const bearer of [apiKey, tunnelToken]) expect(await check({ bearer })).toEqual(admitted)
    for (const bearer of [token, apiKey, tunnelToken])
      expect(await check({ bearer, address: '203.0.113.2' })).toEqual({
        admitted: false,
        code: 8,
        status: 429,
        headers: {
          'content-type': 'application/json',
          'ratelimit-limit': '3',
          'ratelimit-remaining': '0',
          'ratelimit-reset': '40',
          'retry-after': '40',
        },
        body: { error: 'rate_limited', message: 'API rate limit exceeded', code: 4029, retry_after: 40 },
      })
    // Another tunnel of the same user has a window of its own, and so have the user's calls.
    const other = started.neighbours.addTunnel({ userId: id })
    expect(await check({ bearer: token }, connectPath(other.tunnelId))).toEqual(admitted)
    pass(40_000)
    expect(await check({ bearer: token })).toEqual(admitted)
    expect(await check({ bearer: token })).toMatchObject({ status: 429 })
    await started.close()
  })

  it('is spent by nothing that is refused', async () => {
    const { started, id, tunnel, path, token, tunnelToken, check } = await limited({
      LIMIT_CONNECT_PER_MINUTE: '1',
    })
    const other = await started.register()
    const { secret: narrow } = started.neighbours.addKey({ userId: id, permissions: ['tunnels:read'] })
    const second = started.neighbours.addTunnel({ userId: id })
    const tokenOfSecond = started.neighbours.addTunnelToken({ tunnelId: second.tunnelId, userId: id })
    const cookie = `instatunnel_session=${token}`
    for (let n = 0; n < 3; n++) {
      expect(await check({})).toMatchObject({ status: 401 })
      expect(await check({ bearer: 'it_0123456789abcdef' })).toMatchObject({ status: 401 })
      expect(await check({ bearer: other.token })).toMatchObject({ status: 404 })
      expect(await check({ bearer: narrow })).toMatchObject({ status: 403 })
      expect(await check({ bearer: tokenOfSecond })).toMatchObject({ status: 403 })
      expect(await check({ cookie, origin: 'https://evil.example' })).toMatchObject({ status: 403 })
      expect(await check({ bearer: token }, `${path}?mode=x`)).toMatchObject({ status: 400 })
      expect(await check({ bearer: token }, `${path}?mode=mcp`)).toMatchObject({ status: 403 })
      tunnel.olderTunnels = 3
      expect(await check({ bearer: tunnelToken })).toMatchObject({ status: 403 })
      tunnel.olderTunnels = 0
    }
    expect(await check({ bearer: token })).toEqual(admitted)
    expect(await check({ bearer: token })).toMatchObject({ status: 429 })
    await started.close()
  })

  it('on wrong credentials counts those of agents with all others, replaced tokens too', async () => {
    const { started, tunnel, tunnelToken, token, check } = await limited({ LIMIT_AUTH_PER_MINUTE: '1' })
    const address = '198.51.100.77'
    tunnel.tokenGeneration = 1
    const wrong = ['it_0123456789abcdef', 'eyJ.a.b', `itt_${'x'.repeat(32)}`, 'short', tunnelToken]
    for (let n = 0; n < 10; n++)
      expect(await check({ bearer: wrong[n % 5] as string, address })).toEqual(unauthorized)
    for (const bearer of wrong) expect(await check({ bearer, address })).toMatchObject({ status: 429 })
    const whoAmI = '/instatunnel.auth.v1.AuthService/WhoAmI'
    expect(await started.check(whoAmI, { bearer: 'short', address })).toMatchObject({ status: 429 })
    expect(await check({ bearer: token, address })).toEqual(admitted)
    await started.close()
  })
})

describe('while a neighbour is away', () => {
  const undecided = { code: 14, details: 'Nothing can be decided right now' }

  it('nobody connects: keys', async () => {
    const { owner, path, tunnelToken } = await tunnelOwner()
    auth.neighbours.away.keys = true
    await expect(connect(path, { bearer: owner.apiKey })).rejects.toMatchObject(undecided)
    expect(await connect(path, { bearer: tunnelToken })).toEqual(admitted)
    auth.neighbours.away.keys = false
  })

  it('nobody connects: tunnels; what is wrong is refused all the same, and no query is logged', async () => {
    const { owner, path, tunnelToken } = await tunnelOwner()
    auth.neighbours.away.tunnels = true
    const before = auth.logged.length
    for (const bearer of [owner.token, owner.apiKey, tunnelToken])
      await expect(connect(`${path}?mode=mcp`, { bearer })).rejects.toMatchObject(undecided)
    expect(await connect(path, { bearer: 'it_0123456789abcdef' })).toEqual(unauthorized)
    expect(await connect(path)).toEqual(unauthorized)
    auth.neighbours.away.tunnels = false
    const lines = auth.logged.slice(before).filter((line) => line.includes('cannot decide'))
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { method: 'connect', msg: 'cannot decide' },
      { method: 'connect', msg: 'cannot decide' },
      { method: 'connect', msg: 'cannot decide' },
    ])
    expect(auth.logged.join()).not.toContain('mode=mcp')
    for (const secret of [...auth.neighbours.secrets, owner.token])
      expect(auth.logged.join()).not.toContain(secret)
  })
})
