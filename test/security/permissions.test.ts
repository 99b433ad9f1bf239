import { type Account, type Accounts, accountsOf, bodyOf, type MadeKey } from '@instatunnel/test/accounts'
import { aField, expectError, expectScopeMissing, expectUnauthorized } from '@instatunnel/test/errors'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Who may do what: scopes, other people's things, admins, and ways to get more than one has. */

const allScopes = [
  ...[
    'account:read',
    'account:write',
    'admin:read',
    'admin:write',
    'alerts:read',
    'alerts:write',
    'analytics:read',
  ],
  ...[
    'billing:read',
    'keys:manage',
    'logs:read',
    'org:manage',
    'tunnels:delete',
    'tunnels:read',
    'tunnels:stats',
  ],
  ...['tunnels:write', 'users:manage'],
]
const adminScopes = ['admin:read', 'admin:write', 'org:manage', 'users:manage']

let stack: TestStack
let accounts: Accounts
let root: Account
let ada: Account
let eve: Account

beforeAll(async () => {
  const admin = { email: 'root@example.com', password: 'a long admin password' }
  const settings = { INSTATUNNEL_ADMIN_EMAIL: admin.email, INSTATUNNEL_ADMIN_PASSWORD: admin.password }
  stack = await startTestStack({ settings })
  accounts = accountsOf(stack.call)
  root = await accounts.login(admin)
  ada = await accounts.register()
  eve = await accounts.register()
})
afterAll(() => stack.stop())

const get = (path: string, token: string) => stack.call('GET', path, { token })
const whoami = async (token: string) => bodyOf(await get('/v1/auth/whoami', token))
const setRole = async ({ id }: Account, role: string) =>
  bodyOf(await stack.call('PATCH', `/v1/admin/users/${id}`, { token: root.token, body: { role } }))

type Attempt = [method: string, path: string, body?: object]
const attempt = (token: string, [method, path, body]: Attempt) => stack.call(method, path, { token, body })

const noTunnel = 'tun_00000000000000000000000000'
const noKey = 'key_00000000000000000000000000'

describe('each call needs its scope', () => {
  const calls: [scope: string, method: string, path: string, body: object | undefined, status: number][] = [
    ['account:read', 'GET', '/v1/auth/user', undefined, 200],
    ['account:read', 'GET', '/v1/user/profile', undefined, 200],
    ['account:write', 'PATCH', '/v1/auth/user', { name: 'Root' }, 200],
    ['account:write', 'POST', '/v1/auth/password', {}, 400],
    ['account:read', 'GET', '/v1/auth/sessions', undefined, 200],
    ['account:write', 'DELETE', '/v1/auth/sessions/ses_1', undefined, 404],
    ['users:manage', 'GET', '/v1/admin/users', undefined, 200],
    ['users:manage', 'PATCH', '/v1/admin/users/user_1', { plan: 'pro' }, 404],
    ['users:manage', 'GET', '/v1/admin/users/user_1/keys', undefined, 404],
    ['users:manage', 'DELETE', '/v1/admin/users/user_1/keys', undefined, 404],
    ['users:manage', 'GET', '/v1/admin/users/user_1/sessions', undefined, 404],
    ['users:manage', 'DELETE', '/v1/admin/users/user_1/sessions', undefined, 404],
    ['users:manage', 'GET', '/v1/admin/invitations', undefined, 200],
    ['users:manage', 'POST', '/v1/admin/invitations', {}, 400],
    ['users:manage', 'DELETE', '/v1/admin/invitations/inv_1', undefined, 404],
    ['keys:manage', 'GET', '/v1/auth/keys', undefined, 200],
    ['keys:manage', 'GET', `/v1/auth/keys/${noKey}`, undefined, 404],
    ['keys:manage', 'POST', '/v1/auth/keys', { name: 'A', permissions: ['keys:manage'] }, 200],
    ['keys:manage', 'POST', '/v1/api-keys', { name: 'A', permissions: ['keys:manage'] }, 200],
    ['keys:manage', 'PATCH', `/v1/auth/keys/${noKey}`, { name: 'A' }, 404],
    ['keys:manage', 'DELETE', `/v1/auth/keys/${noKey}`, undefined, 404],
    ['keys:manage', 'POST', '/v1/auth/keys/verify', { key: 'it_0' }, 200],
    ['tunnels:read', 'GET', '/v1/tunnels', undefined, 200],
    ['tunnels:read', 'GET', `/v1/tunnels/${noTunnel}`, undefined, 404],
    ['tunnels:write', 'POST', '/v1/tunnels', { name: 'A', local_port: 1 }, 200],
    ['tunnels:write', 'PATCH', `/v1/tunnels/${noTunnel}`, { name: 'A' }, 404],
    ['tunnels:write', 'POST', `/v1/tunnels/${noTunnel}/regenerate-token`, {}, 404],
    ['tunnels:delete', 'DELETE', `/v1/tunnels/${noTunnel}`, undefined, 404],
  ]
  const keys = new Map<string, { without: string; only: string }>()

  beforeAll(async () => {
    for (const scope of new Set(calls.map(([scope]) => scope))) {
      const permissions = allScopes.filter((other) => other !== scope)
      const [without, only] = [{ permissions }, { permissions: [scope] }]
      keys.set(scope, {
        without: (await accounts.key(root.token, without)).key,
        only: (await accounts.key(root.token, only)).key,
      })
    }
  })

  it.each(calls)('%s: %s %s', async (scope, method, path, body, status) => {
    const { without = '', only = '' } = keys.get(scope) ?? {}
    expectScopeMissing(await stack.call(method, path, { token: without, body }), scope)
    expect((await stack.call(method, path, { token: only, body })).status).toBe(status)
  })

  it('but for asking who one is, and logging out', async () => {
    const { key } = await accounts.key(root.token, { permissions: ['logs:read'] })
    expect((await whoami(key)).credential.scopes).toEqual(['logs:read'])
    bodyOf(await stack.call('POST', '/v1/auth/logout', { token: key, body: {} }))
    expectUnauthorized(await get('/v1/auth/whoami', key))
    expect((await whoami(root.token)).user.id).toBe(root.id)
  })
})

describe('a key without permissions', () => {
  const refusedAll = async (key: string) => {
    for (const [method, path, body] of [
      ['GET', '/v1/auth/user'],
      ['GET', '/v1/tunnels'],
      ['POST', '/v1/tunnels', { name: 'A', local_port: 1 }],
      ['GET', '/v1/auth/keys'],
      ['POST', '/v1/auth/keys', { name: 'A', permissions: [] }],
      ['GET', '/v1/admin/users'],
    ] satisfies Attempt[])
      expect((await attempt(key, [method, path, body] as Attempt)).status, path).toBe(403)
  }

  it('may do nothing but ask who it is, and log out; left out, permissions are all of the owner’s', async () => {
    const { id, key } = await accounts.key(root.token, { permissions: [] })
    expect(bodyOf(await get(`/v1/auth/keys/${id}`, root.token)).permissions).toEqual([])
    await refusedAll(key)
    expect((await whoami(key)).credential.scopes).toEqual([])
    bodyOf(await stack.call('POST', '/v1/auth/logout', { token: key, body: {} }))
    expectUnauthorized(await get('/v1/auth/whoami', key))

    const all = await accounts.key(root.token)
    expect((await whoami(all.key)).credential.scopes).toEqual(allScopes)
  })

  it('is what a change makes of it, at once', async () => {
    const { id, key } = await accounts.key(root.token)
    const change = async (path: string, body: object) =>
      bodyOf(await stack.call('PATCH', path, { token: root.token, body })).permissions
    const path = `/v1/auth/keys/${id}`
    for (const [at, body] of [
      [path, { permissions: [] }],
      [`${path}?update_mask=permissions`, { permissions: [] }],
      [path, { permissions: [], name: 'B', update_mask: 'permissions,name' }],
    ] as const) {
      expect(await change(path, { permissions: ['*'] })).toEqual(['*'])
      expect((await get('/v1/tunnels', key)).status).toBe(200)
      expect(await change(at, body)).toEqual([])
      await refusedAll(key)
    }
    // What says neither some nor none gives no more than there was.
    for (const body of [{ no_permissions: false, update_mask: 'no_permissions' }, { permissions: null }])
      expect((await stack.call('PATCH', path, { token: root.token, body })).status).toBe(400)
    expect(
      (
        await stack.call('POST', '/v1/auth/keys', {
          token: root.token,
          body: { name: 'A', permissions: null },
        })
      ).status,
    ).toBe(400)
    await refusedAll(key)
    // Cleared, they are all of the owner's again.
    expect(await change(`${path}?update_mask=permissions`, {})).toEqual(allScopes)
    expect((await get('/v1/tunnels', key)).status).toBe(200)
  })

  it('expires when it is to, by either field', async () => {
    const at = new Date(Date.now() + 3_600_000).toISOString()
    const made = await accounts.key(ada.token, { permissions: [], expires_at: at })
    expect(bodyOf(await get(`/v1/auth/keys/${made.id}`, ada.token)).expires_at).toBe(at)
    const both = { name: 'A', expires_at: at, expires_in: 60 }
    const refused = await stack.call('POST', '/v1/auth/keys', { token: ada.token, body: both })
    expect(refused.status).toBe(400)
    expect(refused.body.fields.map(({ field }: { field: string }) => field)).toEqual([
      'expires_in',
      'expires_at',
    ])
  })
})

describe('another user’s things', () => {
  // biome-ignore lint/suspicious/noExplicitAny: a tunnel as it was answered
  let tunnel: any
  let key: MadeKey
  let session: string

  beforeAll(async () => {
    tunnel = await accounts.tunnel(ada.apiKey)
    await accounts.tunnel(eve.apiKey, { subdomain: 'is-eves' })
    key = await accounts.key(ada.token, { permissions: ['tunnels:read'] })
    session = (await whoami(ada.token)).credential.id
  })

  const attempts = (of: { tunnel: string; key: string; session: string }): Attempt[] => [
    ['GET', `/v1/tunnels/${of.tunnel}`],
    ['PATCH', `/v1/tunnels/${of.tunnel}`, { name: 'Mine' }],
    ['PATCH', `/v1/tunnels/${of.tunnel}`, {}],
    ['PATCH', `/v1/tunnels/${of.tunnel}`, { subdomain: 'is-eves' }],
    ['PATCH', `/v1/tunnels/${of.tunnel}`, { local_port: 0 }],
    ['PATCH', `/v1/tunnels/${of.tunnel}?update_mask=subdomain`, {}],
    ['DELETE', `/v1/tunnels/${of.tunnel}`],
    ['POST', `/v1/tunnels/${of.tunnel}/regenerate-token`, {}],
    ['GET', `/v1/auth/keys/${of.key}`],
    ['PATCH', `/v1/auth/keys/${of.key}`, { enabled: false }],
    ['PATCH', `/v1/auth/keys/${of.key}`, { permissions: ['admin:write'] }],
    ['PATCH', `/v1/auth/keys/${of.key}`, {}],
    ['DELETE', `/v1/auth/keys/${of.key}`],
    ['DELETE', `/v1/auth/keys/${of.key}?reason=mine`],
    ['DELETE', `/v1/auth/sessions/${of.session}`],
  ]
  const theirs = () => attempts({ tunnel: tunnel.id, key: key.id, session })
  const nobodys = attempts({ tunnel: noTunnel, key: noKey, session: 'ses_00000000000000000000000000' })

  const everything = async () => ({
    tunnels: bodyOf(await get('/v1/tunnels', ada.token)),
    keys: bodyOf(await get('/v1/auth/keys', ada.token)).keys.map(withoutUse),
    sessions: bodyOf(await get('/v1/auth/sessions', ada.token)),
  })

  it('are answered as what does not exist, byte for byte, and stay as they are', async () => {
    const before = await everything()
    for (const token of [eve.token, eve.apiKey]) {
      for (const [i, mine] of theirs().entries()) {
        const [answer, nothing] = [await attempt(token, mine), await attempt(token, nobodys[i] as Attempt)]
        expect([404, 400], answer.text).toContain(answer.status)
        expect({ status: answer.status, text: answer.text }).toEqual({
          status: nothing.status,
          text: nothing.text,
        })
      }
    }
    for (const [method, path, body] of theirs().filter(
      ([, , body]) => !body || Object.hasOwn(body, 'name'),
    )) {
      const message = path.includes('/keys/')
        ? 'API key not found'
        : path.includes('/tunnels/')
          ? 'Tunnel not found'
          : 'You have no such session'
      expectError(await attempt(eve.token, [method, path, body]), 'not_found', { message })
    }
    expect(await everything()).toEqual(before)
  })

  it('are kept to themselves by explanations: a tunnel as if there were none, and what is left to an address', async () => {
    const mine = await accounts.key(eve.token)
    const explain = async (body: object) =>
      (await stack.call('POST', `/v1/auth/keys/${mine.id}/explain`, { token: eve.token, body })).text
    const connect = (id: string) => explain({ method: 'GET', path: `/v1/tunnels/${id}/connect` })
    const theirs = await connect(tunnel.id)
    expect(theirs.replaceAll(tunnel.id, noTunnel)).toBe(await connect(noTunnel))
    expect(theirs).toContain(`There is no tunnel ${tunnel.id} that the key may connect`)
    expect(theirs).not.toMatch(/\d+ of \d+ connects/)
    const login = { method: 'POST', path: '/v1/auth/login', address: '127.0.0.1' }
    expect(await explain(login)).toContain('how many are left to one is not told')
    expect(await explain(login)).not.toMatch(/\d+ of \d+/)
  })

  it('are in nobody else’s lists, whatever the page', async () => {
    const pageToken = (id: string) => Buffer.from(id).toString('base64url')
    const later = 'zzzzzzzzzzzzzzzzzzzzzzzzzz'
    for (const [list, before] of [
      ['/v1/tunnels', `tun_${later}`],
      ['/v1/auth/keys', `key_${later}`],
      ['/v1/auth/sessions', `ses_${later}`],
    ] as const) {
      for (const query of ['', `?page_token=${pageToken(before)}`, '?page_size=200']) {
        const { text, body } = await get(`${list}${query}`, eve.token)
        for (const id of [tunnel.id, key.id, session, ada.id]) expect(text).not.toContain(id)
        expect(Object.values(body)[0]).not.toEqual([])
      }
    }
  })

  it('cannot be reached by a body that names them', async () => {
    const mine = await accounts.tunnel(eve.apiKey)
    const answer = await stack.call('PATCH', `/v1/tunnels/${mine.id}`, {
      token: eve.token,
      body: { id: tunnel.id, name: 'A' },
    })
    expectError(answer, 'validation_error', aField('id', 'differs between the body and the path or query'))
    const query = await stack.call('PATCH', `/v1/tunnels/${mine.id}?id=${tunnel.id}`, {
      token: eve.token,
      body: { name: 'A' },
    })
    expectError(query, 'validation_error', aField('id', 'belongs in the path'))
    expect(bodyOf(await get(`/v1/tunnels/${mine.id}`, eve.token))).toEqual(mine)
  })

  it('are read by admin:read, and by it alone; a tunnel’s token stays masked', async () => {
    const reader = await accounts.key(root.token, { permissions: ['tunnels:*', 'keys:manage', 'admin:read'] })
    const { token: _, ...shown } = tunnel
    expect(bodyOf(await get(`/v1/tunnels/${tunnel.id}`, reader.key))).toEqual({
      ...shown,
      token: `itt_***...${tunnel.token.slice(-3)}`,
    })
    expect(bodyOf(await get(`/v1/auth/keys/${key.id}`, reader.key))).toMatchObject({
      id: key.id,
      user_id: ada.id,
    })
    const before = await everything()
    for (const change of theirs().filter(
      ([method, path]) => method !== 'GET' && !path.includes('/sessions/'),
    )) {
      const { status, text } = await attempt(reader.key, change)
      expect([404, 400], text).toContain(status)
    }
    expect(await everything()).toEqual(before)
  })

  it('are changed by admin:write, and not read by it; sessions by nobody else at all', async () => {
    const permissions = ['tunnels:*', 'keys:manage', 'account:write', 'admin:write']
    const { key: writer } = await accounts.key(root.token, { permissions })
    const other = await accounts.tunnel(ada.apiKey)
    expect((await get(`/v1/tunnels/${other.id}`, writer)).status).toBe(404)
    expect((await get(`/v1/auth/keys/${key.id}`, writer)).status).toBe(404)
    const renamed = await attempt(writer, ['PATCH', `/v1/tunnels/${other.id}`, { name: 'Renamed' }])
    expect(bodyOf(renamed)).toMatchObject({ name: 'Renamed', user_id: ada.id, token: other.token })
    const regenerated = bodyOf(
      await attempt(writer, ['POST', `/v1/tunnels/${other.id}/regenerate-token`, {}]),
    )
    expect(bodyOf(await get(`/v1/tunnels/${other.id}`, ada.token)).token).toBe(regenerated.token)
    bodyOf(await attempt(writer, ['DELETE', `/v1/tunnels/${other.id}`]))
    bodyOf(await attempt(writer, ['PATCH', `/v1/auth/keys/${key.id}`, { enabled: false }]))
    expectUnauthorized(await get('/v1/tunnels', key.key))
    bodyOf(await attempt(writer, ['PATCH', `/v1/auth/keys/${key.id}`, { enabled: true }]))
    // Also as an admin, none gives another's key what the writer lacks itself.
    expectScopeMissing(
      await attempt(writer, ['PATCH', `/v1/auth/keys/${key.id}`, { permissions: ['logs:read'] }]),
      'logs:read',
    )
    for (const token of [writer, root.token]) {
      expectError(await attempt(token, ['DELETE', `/v1/auth/sessions/${session}`]), 'not_found', {
        message: 'You have no such session',
      })
    }
  })
})

describe('a key gets no more than its maker has', () => {
  let narrow: MadeKey
  let wide: MadeKey
  let session: string

  beforeAll(async () => {
    narrow = await accounts.key(ada.token, { permissions: ['keys:manage', 'tunnels:read'] })
    wide = await accounts.key(ada.token)
    const { keys } = bodyOf(await get('/v1/auth/keys', ada.token))
    session = keys.find(({ session_id }: { session_id?: string }) => session_id !== undefined).id
  })

  const state = async () => bodyOf(await get('/v1/auth/keys', ada.token)).keys.map(withoutUse)

  it('by create, by update, by a mask: a narrower key makes and changes no wider one', async () => {
    const before = await state()
    const [self, other] = [`/v1/auth/keys/${narrow.id}`, `/v1/auth/keys/${wide.id}`]
    const refused: [scope: string, ...Attempt][] = [
      ['account:read', 'POST', '/v1/auth/keys', { name: 'A', permissions: ['*'] }],
      ['account:read', 'POST', '/v1/auth/keys', { name: 'A' }],
      ['account:read', 'POST', '/v1/api-keys', { name: 'A' }],
      ['tunnels:delete', 'POST', '/v1/auth/keys', { name: 'A', permissions: ['tunnels:*'] }],
      [
        'tunnels:write',
        'POST',
        '/v1/auth/keys',
        { name: 'A', permissions: ['tunnels:read', 'tunnels:write'] },
      ],
      ['admin:read', 'POST', '/v1/auth/keys', { name: 'A', permissions: ['keys:*', 'admin:*'] }],
      ['account:read', 'PATCH', self, { permissions: ['*'] }],
      ['tunnels:write', 'PATCH', self, { permissions: ['keys:manage', 'tunnels:read', 'tunnels:write'] }],
      ['account:read', 'PATCH', `${self}?update_mask=permissions`, {}],
      ['account:read', 'PATCH', `${self}?update_mask=*`, { name: 'A' }],
      ['account:read', 'PATCH', self, { update_mask: 'permissions' }],
      ['account:read', 'PATCH', other, { name: 'A' }],
      ['account:read', 'PATCH', other, { enabled: false }],
      ['account:read', 'PATCH', other, { enabled: true }],
      ['account:read', 'PATCH', other, { expires_in: 1 }],
      ['account:read', 'PATCH', other, { metadata: {} }],
      ['account:read', 'PATCH', other, { permissions: ['tunnels:read'] }],
      ['account:read', 'PATCH', other, {}],
      ['account:read', 'DELETE', other],
      ['account:read', 'DELETE', `/v1/auth/keys/${session}`],
    ]
    for (const [scope, ...call] of refused) expectScopeMissing(await attempt(narrow.key, call), scope)
    expect(await state()).toEqual(before)
  })

  it('a user asks in vain for what admins have', async () => {
    const before = await state()
    for (const token of [ada.token, ada.apiKey, wide.key]) {
      for (const [scope, permissions] of [
        ['admin:read', ['*']],
        ['admin:read', ['admin:*']],
        ['admin:write', ['tunnels:read', 'admin:write']],
        ['users:manage', ['users:manage']],
        ['org:manage', ['org:*']],
      ] as const) {
        expectScopeMissing(await attempt(token, ['POST', '/v1/auth/keys', { name: 'A', permissions }]), scope)
        expectScopeMissing(
          await attempt(token, ['PATCH', `/v1/auth/keys/${wide.id}`, { permissions }]),
          scope,
        )
      }
    }
    expect(await state()).toEqual(before)
  })

  it('what is no scope is refused by its place', async () => {
    const message = 'is not a scope, nor a pattern that matches one'
    for (const odd of [
      'tunnels',
      'TUNNELS:READ',
      'tunnels:read ',
      ' *',
      '**',
      '*:*',
      ':*',
      'tunnels:r*',
      'tunnels:*:*',
      '',
      '__proto__',
      'constructor',
      'tunnels:read,tunnels:write',
      'tunnels:\u0000*',
    ]) {
      const permissions = ['tunnels:read', odd]
      const create = await attempt(ada.token, ['POST', '/v1/auth/keys', { name: 'A', permissions }])
      expectError(create, 'validation_error', aField('permissions[1]', message))
      const update = await attempt(ada.token, ['PATCH', `/v1/auth/keys/${wide.id}`, { permissions }])
      expectError(update, 'validation_error', aField('permissions[1]', message))
    }
  })

  it('a session’s key changes with its session only', async () => {
    for (const body of [
      { name: 'A' },
      { permissions: ['tunnels:read'] },
      { enabled: false },
      { expires_in: 60 },
    ]) {
      expectError(await attempt(ada.token, ['PATCH', `/v1/auth/keys/${session}`, body]), 'conflict', {
        message: 'This key belongs to a session and changes with it only',
      })
    }
  })

  it('what a body says beyond what may be chosen is refused, and changes nothing', async () => {
    const before = await state()
    const refused: [field: string, ...Attempt][] = [
      ['role', 'PATCH', '/v1/auth/user', { name: 'Ada', role: 'admin' }],
      ['plan', 'PATCH', '/v1/auth/user', { plan: 'business', email: 'root@example.com' }],
      ['email', 'PATCH', '/v1/auth/user', { email: 'root@example.com' }],
      ['id', 'PATCH', '/v1/auth/user', { id: root.id }],
      [
        'role',
        'POST',
        '/v1/auth/register',
        { email: 'a@b.example', password: 'correct horse battery', role: 'admin' },
      ],
      ['session_id', 'POST', '/v1/auth/keys', { name: 'A', session_id: 'ses_1' }],
      ['id', 'POST', '/v1/auth/keys', { name: 'A', id: wide.id }],
      ['hash', 'POST', '/v1/auth/keys', { name: 'A', hash: 'A' }],
      ['enabled', 'POST', '/v1/auth/keys', { name: 'A', enabled: false }],
      ['request_count', 'PATCH', `/v1/auth/keys/${wide.id}`, { name: 'A', request_count: 5 }],
      ['user_id', 'PATCH', `/v1/auth/keys/${wide.id}`, { user_id: root.id }],
      ['user_id', 'POST', '/v1/tunnels', { name: 'A', local_port: 1, user_id: root.id }],
      ['token', 'POST', '/v1/tunnels', { name: 'A', local_port: 1, token: `itt_${'0'.repeat(32)}` }],
      ['status', 'POST', '/v1/tunnels', { name: 'A', local_port: 1, status: 'active' }],
    ]
    for (const [field, ...call] of refused) {
      const { status, body } = await attempt(ada.token, call)
      expect([status, body.fields?.[0].field], `${call[1]} ${field}`).toEqual([400, field])
    }
    expectScopeMissing(
      await attempt(ada.token, ['POST', '/v1/auth/keys', { name: 'A', user_id: root.id }]),
      'admin:write',
    )
    expect(await state()).toEqual(before)
  })
})

describe('who is an admin no more', () => {
  it('has lost what admins have at once, with every credential of that time', async () => {
    const deputy = await accounts.register()
    await setRole(deputy, 'admin')
    const session = await accounts.login(deputy)
    const { id, key } = await accounts.key(session.token, { permissions: ['*'] })
    const tunnel = await accounts.tunnel((await accounts.register()).apiKey)
    const credentials = [session.token, session.apiKey, key]
    for (const token of credentials) {
      expect((await whoami(token)).credential.scopes).toEqual(allScopes)
      bodyOf(await get('/v1/admin/users', token))
      bodyOf(await get(`/v1/tunnels/${tunnel.id}`, token))
    }

    await setRole(deputy, 'user')
    for (const token of credentials) {
      expect((await whoami(token)).credential.scopes).toEqual(
        allScopes.filter((scope) => !adminScopes.includes(scope)),
      )
      expectScopeMissing(await get('/v1/admin/users', token), 'users:manage')
      const back: Attempt = ['PATCH', `/v1/admin/users/${deputy.id}`, { role: 'admin' }]
      expectScopeMissing(await attempt(token, back), 'users:manage')
      for (const [method, body] of [['GET'], ['PATCH', { name: 'Mine' }], ['DELETE']] as const) {
        expectError(await attempt(token, [method, `/v1/tunnels/${tunnel.id}`, body]), 'not_found', {
          message: 'Tunnel not found',
        })
      }
      expectScopeMissing(
        await attempt(token, ['POST', '/v1/auth/keys', { name: 'A', permissions: ['*'] }]),
        'admin:read',
      )
      // The key of the admin's time can no longer be changed, lest it be an admin's again.
      expectScopeMissing(await attempt(token, ['PATCH', `/v1/auth/keys/${id}`, { name: 'A' }]), 'admin:read')
    }
    const asked = { key, permissions: ['admin:read'] }
    expect(bodyOf(await attempt(session.token, ['POST', '/v1/auth/keys/verify', asked]))).toMatchObject({
      valid: false,
      code: 'INSUFFICIENT_PERMISSIONS',
    })
    bodyOf(await attempt(session.token, ['DELETE', `/v1/auth/keys/${id}`]))
    expectUnauthorized(await get('/v1/auth/whoami', key))
  })

  it('who becomes one has it with the session at once, with older keys never', async () => {
    const user = await accounts.register()
    const { key } = await accounts.key(user.token)
    await setRole(user, 'admin')
    bodyOf(await get('/v1/admin/users', user.token))
    for (const token of [key, user.apiKey])
      expectScopeMissing(await get('/v1/admin/users', token), 'users:manage')
    await setRole(user, 'user')
  })
})

/** A key but for what its uses, told by events, make of it in the meantime. */
const withoutUse = ({
  last_used,
  last_used_at,
  last_request,
  request_count,
  ...rest
}: Record<string, unknown>) => rest
