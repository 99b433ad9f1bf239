import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { aField, expectCountedError, expectScopeMissing } from '@instatunnel/test/errors'
import type { Answer } from '@instatunnel/test/rest-client'
import { aTime } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The whole life of a key through the front door: limits of its own, credits, rotation, revocation, restrictions. */

const root = { email: 'root@example.com', password: 'a long admin password' }
let stack: TestStack
let accounts: Accounts
let user: Account
let admin: Account

beforeAll(async () => {
  const settings = { INSTATUNNEL_ADMIN_EMAIL: root.email, INSTATUNNEL_ADMIN_PASSWORD: root.password }
  stack = await startTestStack({ settings })
  accounts = accountsOf(stack.call)
  user = await accounts.register()
  admin = await accounts.login(root)
})
afterAll(() => stack.stop())

const post = (path: string, token: string, body: object = {}) => stack.call('POST', path, { token, body })
const keyPath = (id: string, more = '') => `/v1/auth/keys/${id}${more}`
const tunnels = (token: string, headers = {}) => stack.call('GET', '/v1/tunnels', { token, headers })
const secondsUntil = (time: string) => (new Date(time).getTime() - Date.now()) / 1000

describe('what only servers decide', () => {
  it.each([
    { remaining: 5 },
    { refill_amount: 5, refill_interval: 60_000 },
    { rate_limit_max: 5, rate_limit_time_window: 60_000 },
    { rate_limit_enabled: false },
  ])('is refused to a user who creates or updates a key: %j', async (fields) => {
    expectScopeMissing(await post('/v1/auth/keys', user.token, { name: 'Mine', ...fields }), 'admin:write')
    const { id } = await accounts.key(user.token)
    const answer = await stack.call('PATCH', keyPath(id), { token: user.token, body: fields })
    expectScopeMissing(answer, 'admin:write')
  })

  it('is taken from an admin, for a key of somebody else, and shown as it is documented', async () => {
    const fields = {
      remaining: 3,
      refill_amount: 10,
      refill_interval: 3_600_000,
      rate_limit_max: 100,
      rate_limit_time_window: 60_000,
    }
    const body = { name: 'Metered', user_id: user.id, ...fields }
    const { api_key, key } = bodyOf(await post('/v1/auth/keys', admin.token, body))
    expect(api_key).toMatchObject({ user_id: user.id, state: 'active', rate_limit_enabled: true, ...fields })
    expect(bodyOf(await stack.call('GET', keyPath(api_key.id), { token: user.token }))).toMatchObject(fields)
    const statuses = []
    for (let call = 0; call < 5; call++) statuses.push((await tunnels(key)).status)
    expect(statuses).toEqual([200, 200, 200, 429, 429])
    const refused = await tunnels(key)
    // A refill is due within the hour.
    expect(refused.body).toMatchObject({
      error: 'usage_exceeded',
      code: 4030,
      retry_after: expect.any(Number),
    })
    expect(refused.headers['retry-after']).toBe(String(refused.body.retry_after))
    expect(refused.body.retry_after).toBeGreaterThan(3500)
  })

  it('lifts the limits of the owner where it says so', async () => {
    const body = { name: 'Unlimited', user_id: user.id, rate_limit_enabled: false }
    const { key } = bodyOf(await post('/v1/auth/keys', admin.token, body))
    const answer = await tunnels(key)
    expect(answer.status).toBe(200)
    expect(answer.headers).not.toHaveProperty('ratelimit-limit')
  })

  it('is not taken by halves', async () => {
    const refused = async (fields: object) =>
      (await post('/v1/auth/keys', admin.token, { name: 'A', ...fields })).body
    for (const fields of [
      { refill_amount: 1 },
      { refill_interval: 1000 },
      { rate_limit_max: 1 },
      { rate_limit_time_window: 1000 },
      { remaining: -1 },
      { remaining: 1.5 },
      { remaining: 2 ** 54 },
      { rate_limit_max: 0, rate_limit_time_window: 1000 },
      { user_id: 'user_00000000000000000000000000', remaining: 'many' },
    ])
      expect(await refused(fields)).toMatchObject({ error: 'validation_error' })
  })
})

describe('a key that expires', () => {
  it('does so to the second', async () => {
    const made = Date.now()
    const { key } = await accounts.key(user.token, { expires_in: 2 })
    expect((await tunnels(key)).status).toBe(200)
    await expect.poll(async () => (await tunnels(key)).status, { timeout: 5000, interval: 20 }).toBe(401)
    const lived = Date.now() - made
    expect(lived).toBeGreaterThanOrEqual(2000)
    expect(lived).toBeLessThan(3500)
  })
})

describe('POST /v1/auth/keys/{id}/rotate', () => {
  it('gives another secret under the same id; the old one is refused at once', async () => {
    const { id, key: old } = await accounts.key(user.token, { permissions: ['tunnels:read'] })
    await tunnels(old)
    const { api_key, key } = bodyOf(await post(keyPath(id, '/rotate'), user.token))
    expect(api_key).toMatchObject({ id, start: key.slice(0, 5) })
    expect(api_key).not.toHaveProperty('old_secret')
    expect(key).not.toBe(old)
    expect([(await tunnels(key)).status, (await tunnels(old)).status]).toEqual([200, 401])
  })

  it('leaves the old one for a grace period, says so in every answer to it, and until it is ended', async () => {
    const { id, key: old } = await accounts.key(user.token, { permissions: ['tunnels:read'] })
    const { api_key, key } = bodyOf(await post(keyPath(id, '/rotate'), user.token, { grace_period: 3600 }))
    const { old_secret } = api_key
    expect(old_secret).toEqual({ key: `it_***...${old.slice(-3)}`, rotated_at: aTime, ends_at: aTime })
    expect(secondsUntil(old_secret.ends_at)).toBeGreaterThan(3590)
    const warned = await tunnels(old)
    expect(warned.status).toBe(200)
    const rotatedAt = Math.floor(new Date(old_secret.rotated_at).getTime() / 1000)
    expect(warned.headers.deprecation).toBe(`@${rotatedAt}`)
    expect(warned.headers.sunset).toBe(new Date(old_secret.ends_at).toUTCString())
    const refused = await post('/v1/tunnels', old, { name: 'A', local_port: 1 })
    expect(refused.status).toBe(403)
    expect(refused.headers).toMatchObject({ deprecation: `@${rotatedAt}`, sunset: expect.any(String) })
    const current = await tunnels(key)
    expect(current.headers).not.toHaveProperty('deprecation')
    await expect
      .poll(async () => bodyOf(await stack.call('GET', keyPath(id), { token: user.token })).old_secret, {
        timeout: 10_000,
      })
      .toMatchObject({ last_used_at: aTime })
    const ended = bodyOf(await stack.call('DELETE', keyPath(id, '/rotate'), { token: user.token }))
    expect(ended).not.toHaveProperty('old_secret')
    expect([(await tunnels(key)).status, (await tunnels(old)).status]).toEqual([200, 401])
  })

  it('leaves nobody with the old secret more than the grace period', async () => {
    const { id, key: old } = await accounts.key(user.token)
    bodyOf(await post(keyPath(id, '/rotate'), user.token, { grace_period: 60 }))
    expect((await post(keyPath(id, '/rotate'), old)).status).toBe(403)
    expect((await stack.call('PATCH', keyPath(id), { token: old, body: { name: 'Mine' } })).status).toBe(403)
    const made = bodyOf(await post('/v1/auth/keys', old, { name: 'A' })).api_key
    expect(secondsUntil(made.expires_at)).toBeLessThanOrEqual(60)
  })

  it('ends the grace period to the second', async () => {
    const { id, key: old } = await accounts.key(user.token, { permissions: ['tunnels:read'] })
    const rotated = Date.now()
    bodyOf(await post(keyPath(id, '/rotate'), user.token, { grace_period: 1 }))
    expect((await tunnels(old)).status).toBe(200)
    await expect.poll(async () => (await tunnels(old)).status, { timeout: 5000, interval: 20 }).toBe(401)
    expect(Date.now() - rotated).toBeGreaterThanOrEqual(1000)
  })
})

describe('DELETE /v1/auth/keys/{id}', () => {
  it('leaves the key visible to its owner as revoked, and to nobody else', async () => {
    const { id } = await accounts.key(user.token, { name: 'Gone' })
    const stranger = await accounts.register()
    const path = keyPath(id, '?reason=no%20longer%20needed')
    expect(bodyOf(await stack.call('DELETE', path, { token: user.token }))).toEqual({
      success: true,
      connections_cut: 0,
      replicas_acked: 1,
      replicas_total: 1,
      took_ms: expect.any(Number),
      tunnels: [],
    })
    const list = async (query: string) =>
      bodyOf(await stack.call('GET', `/v1/auth/keys${query}`, { token: user.token })).keys
    const revoked = (await list('?state=revoked')).find((key: { id: string }) => key.id === id)
    expect(revoked).toMatchObject({ state: 'revoked', revoked_at: aTime, revoked_reason: 'no longer needed' })
    expect(secondsUntil(revoked.restorable_until)).toBeGreaterThan(86_000)
    expect((await list('')).map((key: { id: string }) => key.id)).not.toContain(id)
    expect((await stack.call('GET', keyPath(id), { token: stranger.token })).status).toBe(404)
    expect((await post(keyPath(id, '/restore'), stranger.token)).status).toBe(404)
    expect((await stack.call('DELETE', keyPath(id), { token: user.token })).status).toBe(404)
  })
})

describe('restrictions', () => {
  it('a key is good from its networks only', async () => {
    const local = await accounts.key(user.token, { allowed_ips: ['127.0.0.0/8', '::1'] })
    const elsewhere = await accounts.key(user.token, { allowed_ips: ['192.0.2.0/24'] })
    expect((await tunnels(local.key)).status).toBe(200)
    expect((await tunnels(elsewhere.key)).status).toBe(403)
    // What a client says of its address counts for nothing.
    const forged = {
      'x-forwarded-for': '192.0.2.7',
      'x-envoy-external-address': '192.0.2.7',
      'x-real-ip': '192.0.2.7',
    }
    expect((await tunnels(elsewhere.key, forged)).status).toBe(403)
    const answer = await post('/v1/auth/keys', user.token, { name: 'A', allowed_ips: ['192.0.2.0/33'] })
    expectCountedError(answer, 'validation_error', aField('allowed_ips[0]', answer.body.fields[0].message))
  })

  it('IPv4 addresses and networks of IPv6 have nothing to do with each other, however they are written', async () => {
    const make = (network: string) => accounts.key(user.token, { allowed_ips: [network] })
    const { id, key } = await make('::ffff:127.0.0.0/104')
    const shown = bodyOf(await stack.call('GET', keyPath(id), { token: user.token }))
    expect(shown.allowed_ips).toEqual(['127.0.0.0/8'])
    expect((await tunnels(key)).status).toBe(200)
    for (const network of ['::/0', '::/8'])
      expect((await tunnels((await make(network)).key)).status, network).toBe(403)
    const body = { name: 'A', allowed_ips: ['::ffff:10.0.0.0/8'] }
    const answer = await post('/v1/auth/keys', user.token, body)
    expectCountedError(answer, 'validation_error', aField('allowed_ips[0]', answer.body.fields[0].message))
  })

  it('a key is good for its tunnels only', async () => {
    const [inside, outside] = await Promise.all(
      ['docs-one', 'shop-one'].map((subdomain) => accounts.tunnel(user.token, { subdomain })),
    )
    const { key } = await accounts.key(user.token, { allowed_subdomains: ['docs-*'] })
    const seen = bodyOf(await tunnels(key)).tunnels.map(({ id }: { id: string }) => id)
    expect(seen).toEqual([inside.id])
    expect((await stack.call('GET', `/v1/tunnels/${inside.id}`, { token: key })).status).toBe(200)
    expect((await stack.call('GET', `/v1/tunnels/${outside.id}`, { token: key })).status).toBe(404)
    expect((await stack.call('DELETE', `/v1/tunnels/${outside.id}`, { token: key })).status).toBe(404)
    const made = await post('/v1/tunnels', key, { name: 'Shop', subdomain: 'shop-two', local_port: 3000 })
    expect(made).toMatchObject({ status: 403, body: { error: 'forbidden' } })
  })
})

describe('a key that is held to something and may manage keys', () => {
  const bounded = (fields: object) => accounts.key(admin.token, fields)
  const expectBounded = (answer: Answer) =>
    expect(answer).toMatchObject({ status: 403, body: { error: 'forbidden' } })

  it.each([
    { allowed_ips: ['127.0.0.1'] },
    { allowed_subdomains: ['docs-*'] },
    { remaining: 100 },
    { expires_in: 60 },
  ])('makes, changes and takes over no key that is held to less: %j', async (fields) => {
    const { key: token } = await bounded(fields)
    const free = await accounts.key(admin.token)
    const wider = { name: 'A', expires_in: 90, allowed_ips: ['127.0.0.0/8'], allowed_subdomains: ['*'] }
    expectBounded(await post('/v1/auth/keys', token, wider))
    expectBounded(await stack.call('PATCH', keyPath(free.id), { token, body: { name: 'B' } }))
    expectBounded(await post(keyPath(free.id, '/rotate'), token))
    // To revoke gives nobody more.
    bodyOf(await stack.call('DELETE', keyPath(free.id), { token }))
    expectBounded(await post(keyPath(free.id, '/restore'), token))
  })

  it.each([
    { allowed_ips: ['127.0.0.1'] },
    { allowed_subdomains: ['docs-*'] },
    { remaining: 100 },
    { expires_in: 60 },
    { permissions: ['users:manage'] },
  ])('makes nobody an admin, directly or by an invitation: %j', async (fields) => {
    const { key: token } = await bounded(fields)
    const account = `/v1/admin/users/${user.id}`
    expectBounded(await stack.call('PATCH', account, { token, body: { role: 'admin' } }))
    const invited = { email: 'nobody@example.com', role: 'admin' }
    expectBounded(await post('/v1/admin/invitations', token, invited))
    const { invitations } = bodyOf(await stack.call('GET', '/v1/admin/invitations', { token: admin.token }))
    expect(invitations).toEqual([])
  })

  it('makes keys that are held to the same, and changes those', async () => {
    const { key: token } = await bounded({ allowed_ips: ['127.0.0.0/8'], allowed_subdomains: ['docs-*'] })
    const { api_key } = bodyOf(await post('/v1/auth/keys', token, { name: 'A' }))
    expect(api_key).toMatchObject({ allowed_ips: ['127.0.0.0/8'], allowed_subdomains: ['docs-*'] })
    const body = { allowed_subdomains: ['docs-a'] }
    expect(bodyOf(await stack.call('PATCH', keyPath(api_key.id), { token, body }))).toMatchObject(body)
    const cleared = { update_mask: 'allowed_subdomains' }
    expectBounded(await stack.call('PATCH', keyPath(api_key.id), { token, body: cleared }))
  })
})

describe('a key that is held to a network, a time or a number of uses', () => {
  const MASKED = expect.stringMatching(/^itt_\*\*\*/)
  const WHOLE = expect.stringMatching(/^itt_[0-9A-Za-z]{32}$/)

  it.each([{ allowed_ips: ['127.0.0.0/8'] }, { expires_in: 3600 }, { remaining: 100 }])(
    'gets no tunnel token, which is held to none of them: %j',
    async (fields) => {
      const { key: token } = await accounts.key(admin.token, fields)
      const made = bodyOf(await post('/v1/tunnels', token, { name: 'A', local_port: 3000 })).tunnel
      const path = `/v1/tunnels/${made.id}`
      expect(made.token).toEqual(MASKED)
      expect(bodyOf(await stack.call('GET', path, { token })).token).toEqual(MASKED)
      for (const tunnel of bodyOf(await tunnels(token)).tunnels) expect(tunnel.token).toEqual(MASKED)
      const changed = await stack.call('PATCH', path, { token, body: { name: 'B' } })
      expect(bodyOf(changed).token).toEqual(MASKED)
      expect(await post(`${path}/regenerate-token`, token)).toMatchObject({
        status: 403,
        body: { error: 'forbidden' },
      })
      expect(bodyOf(await stack.call('GET', path, { token: admin.token })).token).toEqual(WHOLE)
      bodyOf(await stack.call('DELETE', path, { token: admin.token }))
    },
  )

  it('one that leaked, and was held to one since, gave tokens away: deleting it names them, and regenerates them', async () => {
    const owner = await accounts.register()
    const tunnel = await accounts.tunnel(owner.token, {})
    const { id, key } = await accounts.key(owner.token)
    const path = `/v1/tunnels/${tunnel.id}`
    const { token, name } = bodyOf(await stack.call('GET', path, { token: key }))
    expect(token).toEqual(WHOLE)
    // What people do first in an incident.
    bodyOf(
      await stack.call('PATCH', keyPath(id), {
        token: owner.token,
        body: { allowed_ips: ['10.0.0.0/8'], permissions: ['tunnels:read'] },
      }),
    )
    const query = '?reason=leaked&regenerate=true'
    const answer = bodyOf(await stack.call('DELETE', keyPath(id, query), { token: owner.token }))
    expect(answer).toMatchObject({ success: true, tunnels: [{ id: tunnel.id, name }] })
    expect(answer).toMatchObject({ tunnels_known: true, tokens_regenerated: true })
    expect(bodyOf(await stack.call('GET', path, { token: owner.token })).token).not.toBe(token)
    // A second time it changes nothing, and says so.
    const renewed = bodyOf(await stack.call('GET', path, { token: owner.token })).token
    expect(bodyOf(await stack.call('DELETE', keyPath(id, query), { token: owner.token }))).toMatchObject({
      ...{ tunnels: [{ id: tunnel.id, name }], tokens_regenerated: true, tokens_regenerated_before: true },
    })
    expect(bodyOf(await stack.call('GET', path, { token: owner.token })).token).toBe(renewed)
    const wrong = await stack.call('DELETE', keyPath(id, '?regenerate=true'), { token: owner.token })
    expectCountedError(wrong, 'validation_error', aField('regenerate', wrong.body.fields[0].message))
  })
})

describe('POST /v1/auth/keys/verify and /explain', () => {
  it('verify tells each code, in order, and counts only what is valid', async () => {
    const verify = async (key: string, more = {}) =>
      bodyOf(await post('/v1/auth/keys/verify', admin.token, { key, ...more }))
    const make = (fields: object) => accounts.key(admin.token, { permissions: ['tunnels:read'], ...fields })
    expect(await verify('it_0000000000000000')).toEqual({ valid: false, code: 'NOT_FOUND' })
    const counted = await make({ remaining: 1 })
    expect(await verify(counted.key, { permissions: ['tunnels:write'] })).toMatchObject({
      code: 'INSUFFICIENT_PERMISSIONS',
    })
    expect(await verify(counted.key, { permissions: ['tunnels:read'] })).toMatchObject({
      valid: true,
      code: 'VALID',
    })
    expect(await verify(counted.key)).toMatchObject({ valid: false, code: 'USAGE_EXCEEDED' })
    const windowed = await make({ rate_limit_max: 1, rate_limit_time_window: 60_000 })
    expect(await verify(windowed.key)).toMatchObject({ code: 'VALID' })
    expect(await verify(windowed.key)).toMatchObject({
      code: 'RATE_LIMITED',
      retry_after: expect.any(Number),
    })
    const placed = await make({ allowed_ips: ['192.0.2.0/24'] })
    expect(await verify(placed.key)).toMatchObject({ code: 'FORBIDDEN_IP' })
    expect(await verify(placed.key, { address: '192.0.2.9' })).toMatchObject({ code: 'VALID' })
    const disabled = await make({})
    await stack.call('PATCH', keyPath(disabled.id), { token: admin.token, body: { enabled: false } })
    expect(await verify(disabled.key)).toMatchObject({ code: 'DISABLED', api_key: { state: 'disabled' } })
  })

  it('explain tells where a request would stop, and spends nothing', async () => {
    const { id, key } = await accounts.key(admin.token, { permissions: ['tunnels:read'], remaining: 1 })
    const explain = async (method: string, path: string) =>
      bodyOf(await post(keyPath(id, '/explain'), admin.token, { method, path }))
    for (let again = 0; again < 3; again++) {
      const told = await explain('GET', '/v1/tunnels?page_size=3')
      expect(told).toMatchObject({ allowed: true })
      expect(told).not.toHaveProperty('stopped_at')
      expect(told.checks.map(({ name }: { name: string }) => name)).toEqual([
        ...[
          'route',
          'key',
          'enabled',
          'expiry',
          'allowed_ips',
          'scope',
          'rate_limit',
          'key_rate_limit',
          'remaining',
        ],
      ])
    }
    expect(await explain('POST', '/v1/tunnels')).toMatchObject({ allowed: false, stopped_at: 'scope' })
    expect(await explain('GET', '/v1/nothing')).toMatchObject({ allowed: false, stopped_at: 'route' })
    expect((await tunnels(key)).status).toBe(200)
    expect(await explain('GET', '/v1/tunnels')).toMatchObject({ allowed: false, stopped_at: 'remaining' })
  })
})
