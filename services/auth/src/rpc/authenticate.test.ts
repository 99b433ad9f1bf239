import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { startAuth, withIdentity } from '../../test/start-auth.ts'

const auth = await startAuth({ LIMIT_READ_PER_MINUTE: '20' })
afterAll(() => auth.close())

const LIST_KEYS = '/instatunnel.keys.v1.ApiKeyService/ListKeys'

describe('Authenticate', () => {
  it.each(['token', 'apiKey'] as const)('gives an identity for a %s', async (which) => {
    const person = await auth.register()
    const { identity } = await auth.internal.authenticate({ bearer: person[which], method: LIST_KEYS })
    expect(decodeJwt(identity)).toMatchObject({ sub: person.id, aud: 'instatunnel-services', plan: 'free' })
  })

  it.each(['', 'it_0123456789abcdef', 'eyJ.a.b', 'two words', 'x'.repeat(100_000)])(
    'refuses %j as Check would',
    async (bearer) => {
      expect(await refused(auth.internal.authenticate({ bearer, method: LIST_KEYS }))).toEqual({
        code: 'UNAUTHENTICATED',
        reason: 'CREDENTIAL_INVALID',
        message: 'Invalid or missing API key',
        metadata: {},
        http: 401,
        body: { error: 'unauthorized', message: 'Invalid or missing API key', code: 4001 },
      })
    },
  )

  it('refuses a credential that lacks the scope, naming it', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['tunnels:read'] })
    expect(await refused(auth.internal.authenticate({ bearer: secret, method: LIST_KEYS }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'SCOPE_MISSING',
      metadata: { required_scope: 'keys:manage' },
      body: { error: 'forbidden', required_scope: 'keys:manage' },
    })
  })

  it("refuses a tunnel's token, saying what it is good for", async () => {
    const { id } = await auth.register()
    const bearer = auth.neighbours.addTunnelToken({ tunnelId: 'tun_1', userId: id })
    expect(await refused(auth.internal.authenticate({ bearer, method: LIST_KEYS }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'TUNNEL_TOKEN_CONNECTS_ONLY',
      message: "A tunnel's token is good for connecting that tunnel only",
    })
  })

  it('counts against the same limit as calls through the gateway', async () => {
    const { apiKey } = await auth.register()
    const direct = () => auth.internal.authenticate({ bearer: apiKey, method: LIST_KEYS })
    for (let n = 0; n < 10; n++) {
      await direct()
      expect(await auth.check(LIST_KEYS, { bearer: apiKey })).toMatchObject({ admitted: true })
    }
    expect(await refused(direct())).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED' })
  })

  it.each([
    '',
    '/instatunnel.keys.v1.ApiKeyService/DropKeys',
    '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys',
    '/instatunnel.auth.v1.AuthService/Login',
    '/grpc.health.v1.Health/Check',
  ])('decides about no method but those that users call: not about %j', async (method) => {
    const { token } = await auth.register()
    expect(await refused(auth.internal.authenticate({ bearer: token, method }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message: 'method: must be an rpc that users call',
    })
  })

  it('says UNAVAILABLE while keys is away', async () => {
    auth.neighbours.away.keys = true
    const call = auth.internal.authenticate({ bearer: 'it_notAskedForYet00', method: LIST_KEYS })
    expect(await refused(call)).toMatchObject({ code: 'UNAVAILABLE', http: 503 })
    auth.neighbours.away.keys = false
  })
})

describe('a call that reaches auth directly', () => {
  it('may bring a bearer instead of an identity', async () => {
    const { id, apiKey } = await auth.register()
    const { user } = await auth.callWith({ authorization: `Bearer ${apiKey}` }).whoAmI()
    expect(user?.id).toBe(id)
  })

  it('is refused with neither, and with a wrong one', async () => {
    expect(await refused(auth.callWith({}).whoAmI())).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIAL_MISSING',
      message: 'Invalid or missing API key',
    })
    expect(
      await refused(auth.callWith({ authorization: 'Bearer it_0123456789abcdef' }).whoAmI()),
    ).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'CREDENTIAL_INVALID' })
    expect(await refused(auth.callWith(withIdentity('eyJ.a.b')).whoAmI())).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIAL_INVALID',
      message: 'Invalid identity',
    })
  })

  it("may not use a session's cookie", async () => {
    const { token } = await auth.register()
    expect(await refused(auth.callWith({ cookie: `instatunnel_session=${token}` }).whoAmI())).toMatchObject({
      reason: 'CREDENTIAL_MISSING',
    })
  })

  it('is held to the rule by an identity too', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['account:read'] })
    const { identity } = await auth.internal.authenticate({
      bearer: secret,
      method: '/instatunnel.auth.v1.AuthService/GetUser',
    })
    expect(await refused(auth.callWith(withIdentity(identity)).updateUser({ name: 'x' }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'SCOPE_MISSING',
      metadata: { required_scope: 'account:write' },
    })
    expect(await refused(auth.callWith(withIdentity(identity)).listUsers())).toMatchObject({
      metadata: { required_scope: 'users:manage' },
    })
  })

  it('is refused by what is internal, whoever the user is', async () => {
    const admin = await auth.registerAdmin()
    const checked = await auth.check('/instatunnel.auth.v1.AdminService/ListUsers', { bearer: admin.token })
    const metadata = checked.admitted ? checked.headers : {}
    for (const given of [{}, metadata, { authorization: `Bearer ${admin.token}` }]) {
      const rpcs = auth.callWith(given)
      for (const call of [rpcs.authenticate(), rpcs.verifyKey(), rpcs.listIdentityKeys()])
        expect(await refused(call)).toMatchObject({
          code: 'UNAUTHENTICATED',
          reason: 'SERVICES_ONLY',
          message: 'Only services of the platform may call this',
        })
    }
  })
})
