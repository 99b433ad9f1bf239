import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { unseal } from '@instatunnel/kit/sealed'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { changeKey, changeUser } from '../test/change.ts'
import type { RestCall } from '../test/check.ts'
import { scopeMissing, unauthorized } from '../test/refusals.ts'
import { startAuth } from '../test/start-auth.ts'

const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
const LOGOUT = '/instatunnel.auth.v1.AuthService/Logout'
const REGISTER = '/instatunnel.auth.v1.AuthService/Register'
const LOGIN = '/instatunnel.auth.v1.AuthService/Login'
const LIST_KEYS = '/instatunnel.keys.v1.ApiKeyService/ListKeys'
const VERIFY_KEY = '/instatunnel.keys.v1.ApiKeyService/VerifyKey'
const CREATE_KEY = '/instatunnel.keys.v1.ApiKeyService/CreateKey'
const LIST_TUNNELS = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
const CREATE_TUNNEL = '/instatunnel.tunnels.v1.TunnelService/CreateTunnel'
const SECOND = 1000
const DAY = 24 * 60 * 60 * SECOND

const clock = { now: new Date() }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const now = () => clock.now
const auth = await startAuth({}, { now })
afterAll(() => auth.close())

const admitted = expect.objectContaining({ admitted: true })

describe('a key', () => {
  it('admits until it is disabled, expires, is revoked', async () => {
    const { id } = await auth.register()
    const { secret, key } = auth.neighbours.addKey({
      userId: id,
      expiresAt: new Date(now().getTime() + 10 * SECOND),
    })
    const check = () => auth.check(WHO_AM_I, { bearer: secret })
    expect(await check()).toEqual(admitted)
    await changeKey(auth, key, { enabled: false })
    expect(await check()).toEqual(unauthorized)
    await changeKey(auth, key, { enabled: true })
    expect(await check()).toEqual(admitted)
    pass(10 * SECOND)
    expect(await check()).toEqual(unauthorized)
    await changeKey(auth, key, { expiresAt: undefined })
    expect(await check()).toEqual(admitted)
    await auth.rest({ bearer: secret }).logout()
    expect(await check()).toEqual(unauthorized)
  })

  it('admits with its own scopes, cut to those of its owner', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['tunnels:read', 'users:manage'] })
    expect(await auth.check(LIST_TUNNELS, { bearer: secret })).toEqual(admitted)
    expect(await auth.check(CREATE_TUNNEL, { bearer: secret })).toMatchObject(scopeMissing('tunnels:write'))
    expect(await auth.check('/instatunnel.auth.v1.AdminService/ListUsers', { bearer: secret })).toMatchObject(
      scopeMissing('users:manage'),
    )
  })

  it('tells keys its digest only, never itself', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id })
    await auth.check(WHO_AM_I, { bearer: secret })
    const sent = JSON.stringify(auth.neighbours.lastMetadata()?.getMap())
    expect(sent).toContain('x-instatunnel-service')
    expect(sent).not.toContain(secret)
  })

  it("needs its owner: one of an account that is not there is nobody's", async () => {
    const { secret } = auth.neighbours.addKey({ userId: 'user_01h00000000000000000000000' })
    expect(await auth.check(WHO_AM_I, { bearer: secret })).toEqual(unauthorized)
  })
})

describe('a session', () => {
  it('ends after seven days, for its token and its key', async () => {
    const { token, apiKey } = await auth.register()
    pass(7 * DAY - 2 * SECOND)
    for (const bearer of [token, apiKey]) expect(await auth.check(WHO_AM_I, { bearer })).toEqual(admitted)
    pass(2 * SECOND)
    for (const bearer of [token, apiKey]) expect(await auth.check(WHO_AM_I, { bearer })).toEqual(unauthorized)
  })

  /** The private key that auth signs with, as only the database and AUTH_SECRET together give it. */
  async function signingKey(purpose: string): Promise<{ kid: string; privateKey: KeyObject }> {
    const [row] = await auth.sql`select kid, private_key from signing_keys where purpose = ${purpose}`
    const secret = Buffer.from(auth.environment.AUTH_SECRET as string, 'base64')
    return { kid: row?.kid, privateKey: createPrivateKey(unseal(row?.privateKey, row?.kid, secret)) }
  }
  const sign = (claims: object, header: object, key: KeyObject) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: 'EdDSA', ...header }).sign(key)

  it('is known by its token alone: no other signature, type, session or user passes for it', async () => {
    const { token } = await auth.register()
    const other = await auth.register()
    const [claims, header] = [decodeJwt(token), decodeProtectedHeader(token)]
    const [session, identity] = [await signingKey('session'), await signingKey('identity')]
    const { privateKey: strange } = generateKeyPairSync('ed25519')

    // The one that the others differ from.
    const good = await sign(claims, header, session.privateKey)
    expect(await auth.check(WHO_AM_I, { bearer: good })).toEqual(admitted)

    const forged: Record<string, string> = {
      'by a stranger': await sign(claims, header, strange),
      'by a stranger under another kid': await sign(claims, { ...header, kid: 'session_x' }, strange),
      'by the identity key': await sign(claims, header, identity.privateKey),
      'by the identity key under its own kid': await sign(
        claims,
        { ...header, kid: identity.kid },
        identity.privateKey,
      ),
      'as an identity': await sign(claims, { ...header, typ: 'identity+jwt' }, session.privateKey),
      'for services': await sign({ ...claims, aud: 'instatunnel-services' }, header, session.privateKey),
      'of no session': await sign({ ...claims, sid: undefined }, header, session.privateKey),
      'of a session that is none': await sign({ ...claims, sid: 'ses_1' }, header, session.privateKey),
      "of a session that is a user's id": await sign(
        { ...claims, sid: claims.sub },
        header,
        session.privateKey,
      ),
      // Past the minute by which the clocks of ours may differ.
      expired: await sign(
        { ...claims, exp: Math.floor(now().getTime() / 1000) - 61 },
        header,
        session.privateKey,
      ),
    }
    for (const [how, bearer] of Object.entries(forged)) {
      expect(await auth.check(WHO_AM_I, { bearer }), how).toEqual(unauthorized)
      expect(await auth.check(WHO_AM_I, { cookie: `instatunnel_session=${bearer}` }), how).toEqual(
        unauthorized,
      )
    }
    // Whatever a token says of its user: the session's own is who calls.
    const sidOfOther = decodeJwt(other.token).sid
    const mixed = await sign({ ...claims, sid: sidOfOther }, header, session.privateKey)
    expect((await auth.rest({ bearer: mixed }).whoAmI()).user?.id).toBe(other.id)
  })

  it("is no identity's to open: what Check gives to services is no credential", async () => {
    const { token } = await auth.register()
    const checked = await auth.check(WHO_AM_I, { bearer: token })
    const identity = checked.admitted ? (checked.headers['x-instatunnel-identity'] as string) : ''
    expect(await auth.check(WHO_AM_I, { bearer: identity })).toEqual(unauthorized)
    expect(await auth.check(WHO_AM_I, { cookie: `instatunnel_session=${identity}` })).toEqual(unauthorized)
  })

  it('admits while keys is away', async () => {
    const { token } = await auth.register()
    auth.neighbours.away.keys = true
    expect(await auth.check(WHO_AM_I, { bearer: token })).toEqual(admitted)
    auth.neighbours.away.keys = false
  })
})

describe("a session's cookie", () => {
  const ours = 'http://localhost:8080'
  const calls: [Omit<RestCall, 'bearer'>, 'same site' | 'cross site'][] = [
    [{}, 'same site'],
    [{ origin: ours }, 'same site'],
    [{ origin: ours, fetchSite: 'same-origin' }, 'same site'],
    [{ fetchSite: 'none' }, 'same site'],
    [{ origin: 'https://evil.example' }, 'cross site'],
    [{ origin: 'null' }, 'cross site'],
    [{ origin: 'http://my-tunnel.localhost:8080' }, 'cross site'],
    [{ origin: 'http://localhost:3000' }, 'cross site'],
    [{ origin: 'https://localhost:8080' }, 'cross site'],
    [{ fetchSite: 'cross-site' }, 'cross site'],
    [{ fetchSite: 'same-site' }, 'cross site'],
    [{ origin: ours, fetchSite: 'cross-site' }, 'cross site'],
    [{ origin: 'https://evil.example', fetchSite: 'same-origin' }, 'cross site'],
  ]
  const refusedAsCrossSite = {
    admitted: false,
    code: 7,
    status: 403,
    headers: { 'content-type': 'application/json' },
    body: {
      error: 'forbidden',
      message: 'The session cookie admits no changes from another site; send the token as a bearer',
      code: 4003,
    },
  }

  it.each(calls)('with %j is taken for a call from the %s', async (call, site) => {
    const { token } = await auth.register()
    const cookie = `theme=dark; instatunnel_session=${token}`
    // What reads may be called from anywhere: no other site can see the answer.
    expect(await auth.check(LIST_KEYS, { cookie, ...call })).toEqual(admitted)
    for (const method of [CREATE_KEY, LOGOUT]) {
      expect(await auth.check(method, { cookie, ...call })).toEqual(
        site === 'same site' ? admitted : refusedAsCrossSite,
      )
      // A bearer is nothing that a browser adds by itself.
      expect(await auth.check(method, { bearer: token, cookie, ...call })).toEqual(admitted)
    }
  })

  it('is not looked at where there is an authorization, also a wrong one', async () => {
    const { token } = await auth.register()
    const cookie = `instatunnel_session=${token}`
    for (const authorization of ['', 'Basic x', 'Bearer', 'Bearer it_0123456789abcdef', 'Bearer eyJ.a.b'])
      expect(await auth.check(WHO_AM_I, { authorization, cookie }), authorization).toEqual(unauthorized)
  })

  it('is found among several of its name, in quotes and under its earlier name', async () => {
    const [{ id, token }, { token: ended }] = [await auth.register(), await auth.register()]
    await auth.rest({ bearer: ended }).logout({})
    for (const cookie of [
      `instatunnel_session="${token}"`,
      `instatunnel_session=${ended}; instatunnel_session=theirs; instatunnel_session=${token}`,
      `instatunnel_session=${ended}; session=${token}`,
      `session=flask; session=${token}`,
    ]) {
      expect((await auth.rest({ cookie }).whoAmI()).user?.id, cookie).toBe(id)
    }
  })

  it('is found behind any that have not the form of ours, and behind 15 that have it', async () => {
    const { id, token } = await auth.register()
    const head = token.split('.')[0]
    const junk = (count: number, tokenAt: (n: number) => string) =>
      Array.from({ length: count }, (_, n) => `instatunnel_session=${tokenAt(n)}`).join('; ')
    const own = `instatunnel_session=${token}`
    const forms = [
      junk(100, (n) => `${head}.${n}.c2ln`),
      junk(3, (n) => `${token}${n}${'x'.repeat(3000)}`),
      Array(30)
        .fill(`instatunnel_session=${head}.e30.${'A'.repeat(86)}`)
        .join('; '),
      junk(15, (n) => `${head}.${n}.${'A'.repeat(86)}`),
    ]
    for (const form of forms)
      expect((await auth.rest({ cookie: `${form}; ${own}` }).whoAmI()).user?.id).toBe(id)
    // More than that are not tried.
    const more = junk(16, (n) => `${head}.${n}.${'A'.repeat(86)}`)
    expect(await auth.check(WHO_AM_I, { cookie: `${more}; ${own}` })).toEqual(unauthorized)
  })

  it('is no place for a key or a tunnel token', async () => {
    const { id, apiKey } = await auth.register()
    const tunnelToken = auth.neighbours.addTunnelToken({ tunnelId: 'tun_1', userId: id })
    for (const value of [apiKey, tunnelToken, '', 'x'.repeat(5000), '"']) {
      expect(await auth.check(WHO_AM_I, { cookie: `instatunnel_session=${value}` }), value).toEqual(
        unauthorized,
      )
    }
  })
})

describe("a tunnel's token", () => {
  it('opens nothing but its tunnel: 403 for whatever it is tried with', async () => {
    const { id } = await auth.register()
    const bearer = auth.neighbours.addTunnelToken({ tunnelId: 'tun_1', userId: id })
    for (const method of [WHO_AM_I, LIST_TUNNELS, CREATE_TUNNEL, LOGOUT])
      expect(await auth.check(method, { bearer })).toEqual({
        admitted: false,
        code: 7,
        status: 403,
        headers: { 'content-type': 'application/json' },
        body: {
          error: 'forbidden',
          message: "A tunnel's token is good for connecting that tunnel only",
          code: 4003,
        },
      })
  })

  it('is 401 where no tunnel has it', async () => {
    expect(await auth.check(WHO_AM_I, { bearer: `itt_${'x'.repeat(32)}` })).toEqual(unauthorized)
  })

  it('cannot be decided about while tunnels is away', async () => {
    auth.neighbours.away.tunnels = true
    await expect(auth.check(WHO_AM_I, { bearer: `itt_${'x'.repeat(32)}` })).rejects.toMatchObject({
      code: 14,
    })
    auth.neighbours.away.tunnels = false
  })
})

describe('an identity', () => {
  const identityOf = async (bearer: string, method = WHO_AM_I) => {
    const checked = await auth.check(method, { bearer })
    return checked.admitted ? (checked.headers['x-instatunnel-identity'] as string) : ''
  }

  it('is used again for half its life, and then made anew', async () => {
    const { token } = await auth.register()
    const first = await identityOf(token)
    pass(29_999)
    expect(await identityOf(token, LIST_KEYS)).toBe(first)
    pass(1)
    const second = await identityOf(token)
    expect(second).not.toBe(first)
    expect((decodeJwt(second).exp as number) * 1000).toBeGreaterThan(now().getTime() + 58 * SECOND)
  })

  it('is made anew as soon as what it says has changed', async () => {
    const { id, token } = await auth.register()
    expect(decodeJwt(await identityOf(token))).toMatchObject({ plan: 'free', role: 'user' })
    await changeUser(auth, id, { plan: 'pro', role: 'admin' })
    const changed = decodeJwt(await identityOf(token))
    expect(changed).toMatchObject({ plan: 'pro', role: 'admin' })
    expect(changed.scopes).toHaveLength(16)
  })

  it("is each credential's own", async () => {
    const { token, apiKey } = await auth.register()
    const [bySession, byKey] = [decodeJwt(await identityOf(token)), decodeJwt(await identityOf(apiKey))]
    expect(bySession.sub).toBe(byKey.sub)
    expect(bySession.credential).toMatchObject({ type: 'session' })
    expect(byKey.credential).toMatchObject({
      type: 'api_key',
      masked: `it_***...${apiKey.slice(-3)}`,
      sessionId: (bySession.credential as { id: string }).id,
    })
  })
})

describe('the limits', () => {
  const limits = { LIMIT_AUTH_PER_MINUTE: '3', LIMIT_READ_PER_MINUTE: '10', LIMIT_WRITE_PER_MINUTE: '4' }
  const limitedMessage = { error: 'rate_limited', message: 'API rate limit exceeded', code: 4029 }

  /** A service with low limits, its clock, and a count of how often a call is admitted. */
  async function limited(settings: Record<string, string> = {}) {
    const started = await startAuth({ ...limits, ...settings }, { now })
    const count = async (method: string, call: RestCall, times: number) => {
      const decisions = []
      for (let n = 0; n < times; n++) decisions.push(await started.check(method, call))
      return decisions.filter((decision) => decision.admitted).length
    }
    return { started, count, [Symbol.asyncDispose]: () => started.close() }
  }

  it('count register and login together, per client address', async () => {
    await using service = await limited()
    const { count } = service
    expect(await count(REGISTER, { address: '203.0.113.1' }, 2)).toBe(2)
    expect(await count(LOGIN, { address: '203.0.113.1' }, 5)).toBe(1)
    expect(await count(LOGIN, { address: '203.0.113.2' }, 5)).toBe(3)
    pass(59_999)
    expect(await count(LOGIN, { address: '203.0.113.1' }, 1)).toBe(0)
    pass(1)
    expect(await count(LOGIN, { address: '203.0.113.1' }, 5)).toBe(3)
  })

  it('count IPv6 by its /64, and those together whose address nobody tells', async () => {
    await using service = await limited()
    const { count } = service
    expect(await count(LOGIN, { address: '2001:db8:1:2::1' }, 2)).toBe(2)
    expect(await count(LOGIN, { address: '2001:db8:1:2:ffff::9' }, 5)).toBe(1)
    expect(await count(LOGIN, { address: '2001:db8:1:3::1' }, 5)).toBe(3)
    expect(await count(LOGIN, { address: null }, 5)).toBe(3)
  })

  it('count reading and writing apart, per user: more keys give no more calls', async () => {
    await using service = await limited()
    const { started, count } = service
    const { id, token, apiKey } = await started.register()
    const bearers = [token, apiKey, ...[1, 2, 3].map(() => started.neighbours.addKey({ userId: id }).secret)]
    let reads = 0
    for (const bearer of bearers) reads += await count(LIST_KEYS, { bearer }, 4)
    expect(reads).toBe(10)
    let writes = 0
    for (const bearer of bearers) writes += await count(CREATE_KEY, { bearer }, 4)
    expect(writes).toBe(4)
    expect(await count(LIST_KEYS, { cookie: `instatunnel_session=${token}` }, 1)).toBe(0)
    const other = await started.register()
    expect(await count(LIST_KEYS, { bearer: other.token }, 20)).toBe(10)
  })

  it('count what takes one of the few places for large bodies as changing, also where it reads', async () => {
    await using service = await limited()
    const { started, count } = service
    const { token: bearer } = await started.register()
    expect(await count(VERIFY_KEY, { bearer, body: 'large' }, 10)).toBe(4)
    expect(await count(CREATE_KEY, { bearer }, 1)).toBe(0)
    expect(await count(VERIFY_KEY, { bearer }, 20)).toBe(10)
  })

  it('tell each caller where they stand', async () => {
    await using service = await limited()
    const { started } = service
    const { token } = await started.register()
    const ask = () => started.check(CREATE_KEY, { bearer: token })
    const states = []
    for (let n = 0; n < 5; n++) {
      states.push(await ask())
      pass(10 * SECOND)
    }
    const state = (remaining: string, reset: string) => ({
      'ratelimit-limit': '4',
      'ratelimit-remaining': remaining,
      'ratelimit-reset': reset,
    })
    expect(states).toMatchObject([
      { responseHeaders: state('3', '60') },
      { responseHeaders: state('2', '50') },
      { responseHeaders: state('1', '40') },
      { responseHeaders: state('0', '30') },
      {
        admitted: false,
        code: 8,
        status: 429,
        headers: { 'content-type': 'application/json', 'retry-after': '20', ...state('0', '20') },
        body: { ...limitedMessage, retry_after: 20 },
      },
    ])
    pass(10 * SECOND)
    expect(await ask()).toEqual(admitted)
  })

  it('grow with the plan, from the next call on', async () => {
    await using service = await limited({
      PLANS: '{"pro":{"readFactor":2,"writeFactor":1.5},"business":{"readFactor":3}}',
    })
    const { started, count } = service
    const { id, token } = await started.register()
    expect(await count(LIST_KEYS, { bearer: token }, 50)).toBe(10)
    await changeUser(started, id, { plan: 'pro' })
    expect(await count(LIST_KEYS, { bearer: token }, 50)).toBe(10)
    expect(await count(CREATE_KEY, { bearer: token }, 50)).toBe(6)
    await changeUser(started, id, { plan: 'business' })
    expect(await count(LIST_KEYS, { bearer: token }, 50)).toBe(10)
    expect(await count(CREATE_KEY, { bearer: token }, 50)).toBe(34)
  })

  it('count no call that is refused for another reason', async () => {
    await using service = await limited()
    const { started, count } = service
    const { id, token } = await started.register()
    const { secret } = started.neighbours.addKey({ userId: id, permissions: ['tunnels:read'] })
    expect(await count(LIST_KEYS, { bearer: secret }, 30)).toBe(0)
    expect(
      await count(CREATE_KEY, { cookie: `instatunnel_session=${token}`, origin: 'https://evil.example' }, 30),
    ).toBe(0)
    expect(await count(LIST_KEYS, { bearer: token }, 30)).toBe(10)
  })

  it('count wrong credentials per address, ten times as many as logins, and hold no right one up', async () => {
    await using service = await limited()
    const { started } = service
    const { token, apiKey } = await started.register()
    const address = '2001:db8:9:9::1'
    const wrong = ['it_0123456789abcdef', 'eyJ.a.b', `itt_${'x'.repeat(32)}`, 'short', 'x'.repeat(3000)]
    for (let n = 0; n < 30; n++)
      expect(await started.check(WHO_AM_I, { bearer: wrong[n % 5] as string, address })).toEqual(unauthorized)
    for (const bearer of wrong)
      expect(await started.check(WHO_AM_I, { bearer, address: '2001:db8:9:9::2' })).toMatchObject({
        status: 429,
        headers: { 'retry-after': '60', 'ratelimit-limit': '30' },
        body: limitedMessage,
      })
    for (const bearer of [token, apiKey])
      expect(await started.check(WHO_AM_I, { bearer, address })).toEqual(admitted)
    expect(await started.check(WHO_AM_I, { bearer: 'short', address: '203.0.113.9' })).toEqual(unauthorized)
    // None at all is no guess.
    expect(await started.check(WHO_AM_I, { address })).toEqual(unauthorized)
  })
})
