import { readFile } from 'node:fs/promises'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { descriptorsFile, readRules } from '@instatunnel/kit/rules'
import { SERVICE_NAMES } from '@instatunnel/kit/service-name'
import { talk } from '@instatunnel/local/nats-users'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { AuthServiceService } from '@instatunnel/proto/auth/v1/auth_service'
import { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { askAuth, callByPath, direct, oddServiceToken, serviceToken } from '@instatunnel/test/direct'
import { expectError, expectUnauthorized } from '@instatunnel/test/errors'
import { forgeries, readJwt } from '@instatunnel/test/jwt'
import { natsUser } from '@instatunnel/test/nats-user'
import { refused } from '@instatunnel/test/refused'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect as connectNats } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Whoever claims to be the gateway, a service or somebody else, from outside and from inside. */

let stack: TestStack
let accounts: Accounts
let root: Account
let ada: Account
/** What auth vouches with, and what verifies it: both are known to whoever is inside. */
let identity: { ada: string; root: string }
let identityKey: string

const method = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'

beforeAll(async () => {
  const admin = { email: 'root@example.com', password: 'a long admin password' }
  const settings = { INSTATUNNEL_ADMIN_EMAIL: admin.email, INSTATUNNEL_ADMIN_PASSWORD: admin.password }
  stack = await startTestStack({ settings })
  accounts = accountsOf(stack.call)
  root = await accounts.login(admin)
  ada = await accounts.register()
  const auth = askAuth(stack)
  const vouched = async (bearer: string) => (await auth.rpcs.authenticate({ bearer, method })).identity
  identity = { ada: await vouched(ada.token), root: await vouched(root.token) }
  identityKey = (await auth.rpcs.listIdentityKeys()).keys[0]?.publicKey ?? ''
  auth.close()
})
afterAll(() => stack.stop())

const nothingHere = { message: 'There is nothing at this path.' }
const mediaType = { message: 'The body must be application/json.' }

describe('headers that only the platform may set, sent by a client', () => {
  const spoofed = (): [string, Record<string, string | string[]>][] => [
    ['an admin’s identity, a true one', { 'x-instatunnel-identity': identity.root }],
    ['in another case', { 'X-InstaTunnel-Identity': identity.root }],
    ['with underscores', { x_instatunnel_identity: identity.root, X_Instatunnel_Identity: identity.root }],
    ['twice', { 'x-instatunnel-identity': [identity.root, identity.root] }],
    [
      'named as hop-by-hop',
      { connection: 'close, x-instatunnel-identity', 'x-instatunnel-identity': identity.root },
    ],
    [
      'the address of another',
      { 'x-instatunnel-client-address': '192.0.2.1', 'x-forwarded-for': '192.0.2.1' },
    ],
    [
      'what marks a call as transcoded',
      { 'x-envoy-original-path': '/v1/tunnels', 'x-envoy-original-method': 'GET' },
    ],
    ['another path', { 'x-original-url': '/v1/admin/users', 'x-rewrite-url': '/v1/admin/users' }],
    [
      'other names for a user',
      { 'x-user-id': root.id, 'x-forwarded-user': root.id, 'x-remote-user': root.id },
    ],
  ]

  it('are no credential', async () => {
    for (const [, headers] of spoofed()) {
      expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', { headers }))
      expectUnauthorized(await stack.call('GET', '/v1/admin/users', { headers }))
    }
    const service = { 'x-instatunnel-service': await serviceToken(stack, 'auth', 'tunnels') }
    expectUnauthorized(await stack.call('GET', '/v1/tunnels', { headers: service }))
  })

  it('do not change who is calling, what for, or from where', async () => {
    for (const [name, headers] of spoofed()) {
      const whoami = await stack.call('GET', '/v1/auth/whoami', { token: ada.token, headers })
      expect(bodyOf(whoami).user.id, name).toBe(ada.id)
      const users = await stack.call('GET', '/v1/admin/users', { token: ada.token, headers })
      expectError(users, 'forbidden', {
        message: 'Insufficient permissions for this operation',
        required_scope: 'users:manage',
      })
      const body = { email: ada.email, password: ada.password }
      const { token } = bodyOf(await stack.call('POST', '/v1/auth/login', { body, headers }))
      const { sessions } = bodyOf(await stack.call('GET', '/v1/auth/sessions', { token }))
      expect(sessions[0], name).toMatchObject({ current: true, address: '127.0.0.1' })
      bodyOf(await stack.call('POST', '/v1/auth/logout', { token }))
    }
  })

  it('a client’s request id is not taken over', async () => {
    const headers = { 'x-request-id': 'mine' }
    const answer = await stack.call('GET', '/v1/auth/whoami', { token: ada.token, headers })
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('rpcs, called by their gRPC path from outside', () => {
  const paths = [
    '/instatunnel.keys.internal.v1.KeyDirectoryService/RevokeKey',
    '/instatunnel.auth.internal.v1.AuthorizationService/Authenticate',
    '/instatunnel.tunnels.internal.v1.TunnelDirectoryService/LookUpToken',
    '/instatunnel.tunnels.v1.TunnelService/ListTunnels',
    '/instatunnel.auth.v1.AuthService/WhoAmI',
    '/envoy.service.auth.v3.Authorization/Check',
    '/grpc.health.v1.Health/Check',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  ]
  const passes = async () => ({
    'x-instatunnel-identity': identity.root,
    'x-instatunnel-service': await serviceToken(stack, 'auth', 'keys'),
    'x-envoy-original-path': '/v1/tunnels',
  })

  it('are not there as JSON', async () => {
    const headers = await passes()
    for (const path of paths) {
      for (const method of ['GET', 'POST']) {
        const body = method === 'POST' ? {} : undefined
        expectError(
          await stack.call(method, path, { token: root.token, headers, body }),
          'not_found',
          nothingHere,
        )
      }
    }
  })

  it('are refused as gRPC, over HTTP/1.1 and HTTP/2', async () => {
    const headers = await passes()
    for (const type of [
      'application/grpc',
      'application/grpc+proto',
      'application/grpc-web',
      'Application/GRPC+JSON',
    ]) {
      for (const path of [...paths, '/v1/tunnels']) {
        const body = Buffer.alloc(5)
        const answer = await stack.call('POST', path, {
          token: root.token,
          body,
          headers: { ...headers, 'content-type': type },
        })
        expectError(answer, 'unsupported_media_type', mediaType)
      }
    }
    const session = connect(`http://127.0.0.1:${stack.gateway.port}`)
    for (const path of paths) {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        ':authority': `localhost:${stack.gateway.port}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: `Bearer ${root.token}`,
        ...headers,
      })
      stream.end(Buffer.alloc(5))
      const status = await new Promise((resolve) => stream.on('response', (head) => resolve(head[':status'])))
      stream.close()
      expect(status, path).toBe(415)
    }
    session.close()
  })
})

describe('inside, a call to a user’s rpc', () => {
  const rpcsOfAll = (metadata: Record<string, string>) => {
    const tunnels = direct(stack.service('tunnels').address, TunnelServiceService, metadata)
    const keys = direct(stack.service('keys').address, ApiKeyServiceService, metadata)
    const auth = direct(stack.service('auth').address, AuthServiceService, metadata)
    return {
      calls: () => [tunnels.rpcs.listTunnels(), keys.rpcs.listKeys(), auth.rpcs.whoAmI()],
      close: () => [tunnels, keys, auth].map(({ close }) => close()),
    }
  }
  const expectRefused = async (metadata: Record<string, string>, expected: object) => {
    const { calls, close } = rpcsOfAll(metadata)
    const answers = await Promise.all(calls().map(refused))
    close()
    for (const answer of answers)
      expect(answer, JSON.stringify(metadata)).toMatchObject({
        code: 'UNAUTHENTICATED',
        http: 401,
        ...expected,
      })
  }

  it('is admitted with an identity of auth’s, and with a bearer', async () => {
    for (const [name, value] of [
      ['x-instatunnel-identity', identity.ada],
      ['authorization', `Bearer ${ada.apiKey}`],
    ] as const) {
      const { calls, close } = rpcsOfAll({ [name]: value })
      const [, , { user }] = (await Promise.all(calls())) as [unknown, unknown, { user: { id: string } }]
      expect(user.id).toBe(ada.id)
      close()
    }
  })

  it('is UNAUTHENTICATED with neither', async () => {
    await expectRefused({}, { reason: 'CREDENTIAL_MISSING', message: 'Invalid or missing API key' })
    const service = await serviceToken(stack, 'auth', 'tunnels')
    await expectRefused({ 'x-instatunnel-service': service }, { reason: 'CREDENTIAL_MISSING' })
    await expectRefused({ cookie: `instatunnel_session=${ada.token}` }, { reason: 'CREDENTIAL_MISSING' })
  })

  it('is UNAUTHENTICATED with an identity that auth did not give', async () => {
    const scopes = readJwt(identity.root).claims.scopes
    const better = { sub: root.id, scopes, role: 'admin', plan: 'business' }
    const forged = forgeries(identity.ada, { better, publicKey: identityKey })
    expect(forged.length).toBeGreaterThan(30)
    const invalid = { reason: 'CREDENTIAL_INVALID', message: 'Invalid identity' }
    for (const [, token] of forged) await expectRefused({ 'x-instatunnel-identity': token }, invalid)
    // A good bearer beside it does not help.
    const [, token = ''] = forged[0] ?? []
    await expectRefused({ 'x-instatunnel-identity': token, authorization: `Bearer ${ada.token}` }, invalid)
  })

  it('is UNAUTHENTICATED with another of the platform’s tokens for an identity', async () => {
    const { token: tunnelToken } = await accounts.tunnel(ada.apiKey)
    const others = [
      ada.token,
      ada.apiKey,
      tunnelToken,
      await serviceToken(stack, 'auth', 'tunnels'),
      '',
      'identity',
    ]
    for (const token of others)
      await expectRefused({ 'x-instatunnel-identity': token }, { reason: 'CREDENTIAL_INVALID' })
  })

  it('is UNAUTHENTICATED with an identity, or a service’s token, for a bearer', async () => {
    for (const token of [identity.ada, await serviceToken(stack, 'auth', 'tunnels')]) {
      await expectRefused({ authorization: `Bearer ${token}` }, { reason: 'CREDENTIAL_INVALID' })
      expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', { token }))
      expectUnauthorized(
        await stack.call('GET', '/v1/auth/whoami', { cookie: `instatunnel_session=${token}` }),
      )
    }
  })

  it('needs the rule’s scope there too', async () => {
    const { key } = await accounts.key(ada.token, { permissions: ['tunnels:read'] })
    const auth = askAuth(stack)
    const narrow = (await auth.rpcs.authenticate({ bearer: key, method })).identity
    auth.close()
    const { rpcs, close } = direct(stack.service('tunnels').address, TunnelServiceService, {
      'x-instatunnel-identity': narrow,
    })
    await rpcs.listTunnels()
    const scopeMissing = { code: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING', http: 403 }
    expect(await refused(rpcs.createTunnel({ name: 'A', localPort: 1 }))).toMatchObject({
      ...scopeMissing,
      metadata: { required_scope: 'tunnels:write' },
    })
    close()
  })
})

describe('inside, a call to a service’s rpc', () => {
  const internals = (metadata: Record<string, string>) => {
    const auth = direct(stack.service('auth').address, AuthorizationServiceService, metadata)
    const keys = direct(stack.service('keys').address, KeyDirectoryServiceService, metadata)
    const tunnels = direct(stack.service('tunnels').address, TunnelDirectoryServiceService, metadata)
    return {
      calls: {
        auth: () => [
          auth.rpcs.listIdentityKeys(),
          auth.rpcs.authenticate({ bearer: ada.token, method }),
          auth.rpcs.verifyKey({ digest: Buffer.alloc(32) }),
        ],
        keys: () => [
          keys.rpcs.lookUpKeys({ digests: [Buffer.alloc(32)] }),
          keys.rpcs.createSessionKey({ sessionId: 'ses_1', userId: ada.id, permissions: ['*'] }),
          keys.rpcs.revokeKey({ keyId: 'key_1' }),
        ],
        tunnels: () => [
          tunnels.rpcs.lookUpToken({ digest: Buffer.alloc(32) }),
          tunnels.rpcs.getUsage({ userId: ada.id }),
        ],
      },
      close: () => [auth, keys, tunnels].map(({ close }) => close()),
    }
  }
  const servicesOnly = {
    code: 'UNAUTHENTICATED',
    reason: 'SERVICES_ONLY',
    message: 'Only services of the platform may call this',
    http: 401,
  }
  const expectRefusal = async (calls: Promise<unknown>[]) => {
    for (const answer of await Promise.all(calls.map(refused))) expect(answer).toMatchObject(servicesOnly)
  }

  it('is admitted with the token of a service that its rule names, and of no other', async () => {
    const internal = [...readRules(descriptorsFile())].flatMap(([path, rule]) =>
      rule.kind === 'internal' ? [{ path, callers: rule.callers }] : [],
    )
    const notThis = { code: 'PERMISSION_DENIED', message: 'This service may not call this', http: 403 }
    for (const { path, callers } of internal) {
      const callee = path.split('.')[1] as 'auth' | 'keys' | 'tunnels'
      for (const caller of SERVICE_NAMES) {
        const metadata = { 'x-instatunnel-service': await serviceToken(stack, caller, callee) }
        const refusal = await callByPath(stack.service(callee).address, path, metadata)
        const admission = `${caller} calls ${path}: ${refusal?.reason ?? 'OK'}`
        expect(refusal?.reason, admission).not.toBe('SERVICES_ONLY')
        expect(refusal?.reason !== 'NOT_FOR_THIS_SERVICE', admission).toBe(callers.includes(caller))
        if (!callers.includes(caller)) expect(refusal).toMatchObject(notThis)
      }
    }
    expect(internal.length).toBeGreaterThan(15)
  })

  it('makes no key for a session that it knows of, but for auth', async () => {
    for (const caller of ['relay', 'keys', 'tunnels'] as const) {
      const { rpcs, close } = direct(stack.service('keys').address, KeyDirectoryServiceService, {
        'x-instatunnel-service': await serviceToken(stack, caller, 'keys'),
      })
      const { sessions } = bodyOf(await stack.call('GET', '/v1/auth/sessions', { token: root.token }))
      const asked = { sessionId: sessions[0].id, userId: root.id, permissions: ['*'] }
      expect(await refused(rpcs.createSessionKey(asked))).toMatchObject({
        code: 'PERMISSION_DENIED',
        reason: 'NOT_FOR_THIS_SERVICE',
      })
      close()
    }
  })

  it('is UNAUTHENTICATED with whatever a user has', async () => {
    for (const metadata of [
      {},
      { authorization: `Bearer ${root.token}` },
      { 'x-instatunnel-identity': identity.root },
      { 'x-instatunnel-service': identity.root },
      { 'x-instatunnel-service': root.token },
      { 'x-instatunnel-service': '' },
    ] as Record<string, string>[]) {
      const { calls, close } = internals(metadata)
      await expectRefusal([...calls.auth(), ...calls.keys(), ...calls.tunnels()])
      close()
    }
  })

  it('is UNAUTHENTICATED with a token addressed to another service', async () => {
    for (const [to, other] of [
      ['auth', 'keys'],
      ['keys', 'tunnels'],
      ['tunnels', 'auth'],
    ] as const) {
      const { calls, close } = internals({
        'x-instatunnel-service': await serviceToken(stack, 'keys', other),
      })
      await expectRefusal(calls[to]())
      close()
    }
  })

  it('is UNAUTHENTICATED with a token that is forged or of another kind', async () => {
    const good = await serviceToken(stack, 'keys', 'auth')
    const odd: [string, string][] = [
      ['another’s name', await oddServiceToken(stack, { claims: { iss: 'tunnels' } })],
      ['a name that nobody has', await oddServiceToken(stack, { claims: { iss: 'relay' } })],
      ['no name', await oddServiceToken(stack, { claims: { iss: undefined } })],
      ['a name from the prototype', await oddServiceToken(stack, { claims: { iss: '__proto__' } })],
      ['no address', await oddServiceToken(stack, { claims: { aud: undefined } })],
      ['without an end', await oddServiceToken(stack, { claims: { exp: undefined } })],
      ['another type', await oddServiceToken(stack, { header: { typ: 'identity+jwt' } })],
      ...forgeries(good, { better: { iss: 'auth' }, publicKey: stack.secrets.servicePublicKeys.keys }),
    ]
    for (const [name, token] of odd) {
      const { rpcs, close } = direct(stack.service('auth').address, AuthorizationServiceService, {
        'x-instatunnel-service': token,
      })
      expect(await refused(rpcs.authenticate({ bearer: ada.token, method })), name).toMatchObject(
        servicesOnly,
      )
      close()
    }
  })

  it('is UNAVAILABLE with a service’s own token that is over: it is our clocks that differ', async () => {
    const now = Math.floor(Date.now() / 1000)
    const over = await oddServiceToken(stack, { claims: { iat: now - 120, exp: now - 60 } })
    const { rpcs, close } = direct(stack.service('auth').address, AuthorizationServiceService, {
      'x-instatunnel-service': over,
    })
    const refusal = await refused(rpcs.authenticate({ bearer: ada.token, method }))
    expect(refusal).toMatchObject({ code: 'UNAVAILABLE', http: 503 })
    close()
  })
})

describe('inside, on NATS, a service', () => {
  const subjectOf = (type: string) => `instatunnel.events.${type}`

  it('hears by the consumers that it is said to have, and was refused nothing on the way', async () => {
    const connection = await connectNats(natsUser('observer', stack.nats.url, stack.nats.seeds.observer))
    const { consumers } = await jetstreamManager(connection, { checkAPI: false })
    const found: string[] = []
    for (const stream of ['INSTATUNNEL', 'INSTATUNNEL_USAGE'])
      for await (const { name, config } of consumers.list(stream))
        found.push(`${name.startsWith('hears_') ? 'a replica' : name} ${config.filter_subject}`)
    await connection.close()
    const { auth, keys, tunnels, relay } = talk
    expect(found.sort()).toEqual(
      [
        ...[...keys.durables, ...tunnels.durables].map(({ name, type }) => `${name} ${subjectOf(type)}`),
        ...[...auth.hears, ...relay.hears].map((type) => `a replica ${subjectOf(type)}`),
      ].sort(),
    )
    expect(await readFile(join(stack.logDir, 'nats.log'), 'utf8')).not.toContain('Violation')
  })

  it('hears of no login with the relay’s seed', async () => {
    const connection = await connectNats(natsUser('relay', stack.nats.url, stack.nats.seeds.relay))
    const heard: string[] = []
    const refused: string[] = []
    const keep = async () => {
      for await (const status of connection.status())
        if (status.type === 'error') refused.push(status.error.message)
    }
    const keeping = keep()
    for (const subject of ['>', 'instatunnel.events.>', subjectOf('user.logged_in'), '_INBOX.>'])
      connection.subscribe(subject, {
        callback: (error, { subject: told }) => void (error || heard.push(told)),
      })
    const { consumers, streams } = await jetstreamManager(connection, { checkAPI: false })
    for (const filter of [subjectOf('user.logged_in'), subjectOf('user.>'), subjectOf('>')])
      for (const config of [{ filter_subject: filter }, { filter_subjects: [filter] }])
        await expect(consumers.add('INSTATUNNEL', { name: 'thief', ...config })).rejects.toThrow(
          /permissions/i,
        )
    const last = { last_by_subj: subjectOf('user.logged_in') }
    await expect(streams.getMessage('INSTATUNNEL', last)).rejects.toThrow(/permissions/i)
    const observer = await stack.observe()
    const { token } = await accounts.login(root)
    const { sessions } = bodyOf(await stack.call('GET', '/v1/auth/sessions', { token }))
    await observer.event(
      ({ subject, data }) => subject === subjectOf('user.logged_in') && data.session_id === sessions[0].id,
    )
    await connection.flush()
    expect(heard).toEqual([])
    await connection.close()
    await keeping
    for (const subject of ['instatunnel.events.>', '_INBOX.>'])
      expect(refused.join()).toContain(`Subscription to "${subject}"`)
  })
})
