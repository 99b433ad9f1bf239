import { aField, expectCountedError, expectScopeMissing, expectUnauthorized } from '@instatunnel/test/errors'
import { aKey, anId, aTime, expectAnswer, expectRate } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The calls that InstaTunnel, Expose and better-auth document for API keys, through the front door. */

let stack: TestStack
let token: string
let userId: string

beforeAll(async () => {
  stack = await startTestStack()
  const body = { email: 'ada@example.com', password: 'correct horse battery' }
  const answer = await stack.call('POST', '/v1/auth/register', { body })
  token = answer.body.token
  userId = answer.body.user.id
})
afterAll(() => stack.stop())

const create = async (body: object) => (await stack.call('POST', '/v1/auth/keys', { token, body })).body

/** Somebody with no keys but their session's. */
async function newcomer() {
  const body = { email: `newcomer.${++people}@example.com`, password: 'correct horse battery' }
  return (await stack.call('POST', '/v1/auth/register', { body })).body
}
let people = 0

const USER_SCOPES = [
  'account:read',
  'account:write',
  'alerts:read',
  'alerts:write',
  'analytics:read',
  'billing:read',
  'keys:manage',
  'logs:read',
  'tunnels:delete',
  'tunnels:read',
  'tunnels:stats',
  'tunnels:write',
]

const aTimeOrNone = expect.toBeOneOf([aTime, undefined])

const shownKey = (secret: string, fields: object) => ({
  id: anId('key_'),
  key: `it_***...${secret.slice(-3)}`,
  prefix: 'it_',
  start: secret.slice(0, 5),
  key_prefix: secret.slice(0, 5),
  user_id: userId,
  enabled: true,
  metadata: {},
  created_at: aTime,
  updated_at: aTime,
  request_count: 0,
  state: 'active',
  rate_limit_enabled: true,
  allowed_ips: [],
  allowed_subdomains: [],
  ...fields,
})

describe('POST /v1/auth/keys', () => {
  it('makes a key with the permissions asked for and shows its secret once', async () => {
    const body = { name: 'CI/CD Key', permissions: ['tunnels:read'] }
    const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
    expectAnswer(answer, { api_key: shownKey(answer.body.key, body), key: aKey })
  })

  it('answers at /v1/api-keys too, as Expose documents, with all of the owner’s permissions', async () => {
    const answer = await stack.call('POST', '/v1/api-keys', { token, body: { name: 'MacBook Pro' } })
    const fields = { name: 'MacBook Pro', permissions: USER_SCOPES }
    expectAnswer(answer, { api_key: shownKey(answer.body.key, fields), key: aKey })
  })

  it('takes better-auth’s fields, camelCase too', async () => {
    const metadata = { team: 'blue', nested: { list: [1, 'two', null, true] } }
    const body = { name: 'Deploy', prefix: 'acme_', expiresIn: 3600, metadata }
    const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
    const { key, api_key } = answer.body
    expectAnswer(answer, {
      api_key: shownKey(key, {
        name: 'Deploy',
        key: `acme_***...${key.slice(-3)}`,
        prefix: 'acme_',
        start: key.slice(0, 6),
        key_prefix: key.slice(0, 6),
        permissions: USER_SCOPES,
        metadata,
        expires_at: aTime,
      }),
      key: expect.stringMatching(/^acme_[0-9A-Za-z]{32}$/),
    })
    expect(new Date(api_key.expires_at).getTime() - new Date(api_key.created_at).getTime()).toBe(3_600_000)
    expect((await stack.call('GET', '/v1/tunnels', { token: key })).status).toBe(200)
  })

  it('refuses a permission that the creator lacks, and makes nothing', async () => {
    const body = { name: 'Root', permissions: ['tunnels:read', 'admin:read'] }
    const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
    expectScopeMissing(answer, 'admin:read')
    expectRate(answer)
    const listed = await stack.call('GET', '/v1/auth/keys', { token })
    expect(listed.body.keys.map(({ name }: { name: string }) => name)).not.toContain('Root')
  })

  it('names the field that is not acceptable', async () => {
    const [lifetime, prefix] = [
      'must be from 1 to 315360000 seconds (ten years)',
      "must be 1 to 32 of A-Z, a-z, 0-9, '_' and '-'",
    ]
    const answers: [object, string, string][] = [
      [{ name: '' }, 'name', 'must be 1 to 100 characters'],
      [{ name: 'A', expires_in: 0 }, 'expires_in', lifetime],
      [{ name: 'A', prefix: 'a b' }, 'prefix', prefix],
      [
        { name: 'A', permissions: ['everything'] },
        'permissions[0]',
        'is not a scope, nor a pattern that matches one',
      ],
    ]
    for (const [body, field, message] of answers) {
      const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
      expectCountedError(answer, 'validation_error', aField(field, message))
    }
  })

  it('refuses a call without a credential, at either path', async () => {
    for (const path of ['/v1/auth/keys', '/v1/api-keys'])
      expectUnauthorized(await stack.call('POST', path, { body: { name: 'Nobody’s' } }))
  })

  it('refuses a key that may not make keys', async () => {
    const { key } = await create({ name: 'Reader', permissions: ['tunnels:read'] })
    for (const path of ['/v1/auth/keys', '/v1/api-keys']) {
      const answer = await stack.call('POST', path, { token: key, body: { name: 'More' } })
      expectScopeMissing(answer, 'keys:manage')
    }
  })
})

describe('GET /v1/auth/keys and GET /v1/auth/keys/{id}', () => {
  it('show keys masked, with when they were last used', async () => {
    const observer = await stack.observe()
    const { token, user, api_key: secret } = await newcomer()
    const body = { name: 'Production Key', permissions: ['tunnels:read', 'tunnels:write'] }
    const { key, api_key } = (await stack.call('POST', '/v1/auth/keys', { token, body })).body
    await stack.call('GET', '/v1/tunnels', { token: key })
    await observer.event(
      ({ subject, data }) => subject.endsWith('usage.key') && JSON.stringify(data).includes(api_key.id),
    )
    const used = await eventually(async () => {
      const answer = await stack.call('GET', `/v1/auth/keys/${api_key.id}`, { token })
      return answer.body.last_used ? answer : undefined
    })
    const { last_used } = used.body
    const last = { last_used: aTime, last_used_at: last_used, last_request: last_used }
    expectAnswer(used, { ...api_key, ...last, request_count: 1 })
    const session = { session_id: anId('ses_'), name: 'Session key', permissions: USER_SCOPES }
    const listed = await stack.call('GET', '/v1/auth/keys', { token })
    expectAnswer(listed, {
      keys: [used.body, shownKey(secret, { ...session, user_id: user.id })],
      next_page_token: '',
    })
    expect(listed.text).not.toContain(key)
  })

  it('do not know a key that is not there, or another user’s', async () => {
    const { api_key } = await create({ name: 'Mine' })
    const { token: other } = await newcomer()
    for (const id of ['key_1', api_key.id]) {
      const answer = await stack.call('GET', `/v1/auth/keys/${id}`, { token: other })
      expectCountedError(answer, 'not_found', { message: 'API key not found' })
    }
  })

  it('refuse a call without a credential, and a key that may not', async () => {
    const { key, api_key } = await create({ name: 'Reader', permissions: ['tunnels:read'] })
    for (const path of ['/v1/auth/keys', `/v1/auth/keys/${api_key.id}`]) {
      expectUnauthorized(await stack.call('GET', path))
      expectScopeMissing(await stack.call('GET', path, { token: key }), 'keys:manage')
    }
  })

  it('refuse a page_token that is none of ours', async () => {
    const answer = await stack.call('GET', '/v1/auth/keys?page_token=x', { token })
    const fault = aField('page_token', 'must be the next_page_token of the page before')
    expectCountedError(answer, 'validation_error', fault)
  })

  it('page through keys, newest first', async () => {
    const { token: own } = await newcomer()
    const made = []
    for (const name of ['a', 'b', 'c', 'd'])
      made.unshift((await stack.call('POST', '/v1/auth/keys', { token: own, body: { name } })).body.api_key)
    const whole = await stack.call('GET', '/v1/auth/keys', { token: own })
    const { keys } = whole.body
    expectAnswer(whole, { keys: [...made, keys[4]], next_page_token: '' }) // the session's own is the oldest
    expect(keys[4].name).toBe('Session key')

    const page = (query: string) => stack.call('GET', `/v1/auth/keys?page_size=2${query}`, { token: own })
    const next = ({ body }: { body: { next_page_token: string } }) => `&page_token=${body.next_page_token}`
    const aPageToken = expect.stringMatching(/^[\w-]+$/)
    const first = await page('')
    expectAnswer(first, { keys: keys.slice(0, 2), next_page_token: aPageToken })
    const second = await page(next(first))
    expectAnswer(second, { keys: keys.slice(2, 4), next_page_token: aPageToken })
    expectAnswer(await page(next(second)), { keys: keys.slice(4), next_page_token: '' })
  })
})

describe('PATCH /v1/auth/keys/{id}', () => {
  it('changes what is present; a disabled key is refused at once, an enabled one admitted again', async () => {
    const { key, api_key } = await create({ name: 'Old', permissions: ['tunnels:read'], metadata: { a: 1 } })
    const path = `/v1/auth/keys/${api_key.id}`
    const disabled = await stack.call('PATCH', path, { token, body: { name: 'New', enabled: false } })
    const changed = { ...api_key, name: 'New', updated_at: aTime }
    expectAnswer(disabled, { ...changed, enabled: false, state: 'disabled' })
    expectUnauthorized(await stack.call('GET', '/v1/tunnels', { token: key }))
    expectAnswer(await stack.call('PATCH', path, { token, body: { enabled: true } }), changed)
    expect((await stack.call('GET', '/v1/tunnels', { token: key })).status).toBe(200)
  })

  it('sets exactly what update_mask names', async () => {
    const { api_key } = await create({
      name: 'Masked',
      permissions: ['tunnels:read'],
      metadata: { a: 1 },
      expires_in: 60,
    })
    const path = `/v1/auth/keys/${api_key.id}?update_mask=metadata,expires_in`
    const answer = await stack.call('PATCH', path, { token, body: { name: 'Ignored' } })
    const { expires_at: _, ...rest } = api_key
    expectAnswer(answer, { ...rest, metadata: {}, updated_at: aTime })
  })

  it('refuses permissions that the caller lacks', async () => {
    const { api_key } = await create({ name: 'Wide' })
    const { key: narrow } = await create({ name: 'Narrow', permissions: ['keys:manage'] })
    const answer = await stack.call('PATCH', `/v1/auth/keys/${api_key.id}`, {
      token: narrow,
      body: { name: 'Mine now' },
    })
    expectScopeMissing(answer, 'account:read')
    expectRate(answer)
  })

  it('changes a session’s key with its session only', async () => {
    const { token: own } = await newcomer()
    const [{ id }] = (await stack.call('GET', '/v1/auth/keys', { token: own })).body.keys
    const answer = await stack.call('PATCH', `/v1/auth/keys/${id}`, { token: own, body: { name: 'Mine' } })
    const message = 'This key belongs to a session and changes with it only'
    expectCountedError(answer, 'conflict', { message })
  })

  it('refuses a field that is not acceptable, a mask that names no field, and a key that is not there', async () => {
    const { api_key } = await create({ name: 'Kept' })
    const patch = (body: object, id = api_key.id) =>
      stack.call('PATCH', `/v1/auth/keys/${id}`, { token, body })
    const lifetime = aField('expires_in', 'must be from 1 to 315360000 seconds (ten years)')
    expectCountedError(await patch({ expires_in: -1 }), 'validation_error', lifetime)
    const mask = aField(
      'update_mask',
      '"prefix" cannot be updated; name some of name, permissions, enabled, metadata, expires_in, remaining, refill_amount, refill_interval, rate_limit_enabled, rate_limit_time_window, rate_limit_max, allowed_ips, allowed_subdomains',
    )
    expectCountedError(await patch({ update_mask: 'prefix' }), 'validation_error', mask)
    expectCountedError(await patch({}, 'key_1'), 'not_found', { message: 'API key not found' })
    expect((await stack.call('GET', `/v1/auth/keys/${api_key.id}`, { token })).body).toEqual(api_key)
  })
})

describe('DELETE /v1/auth/keys/{id}', () => {
  it('revokes the key at once, for ever', async () => {
    const { key, api_key } = await create({ name: 'Leaked' })
    const answer = await stack.call('DELETE', `/v1/auth/keys/${api_key.id}?reason=leaked`, { token })
    expectAnswer(answer, {
      success: true,
      connections_cut: 0,
      replicas_acked: 1,
      replicas_total: 1,
      took_ms: expect.any(Number),
      tunnels: [],
      tunnels_known: true,
    })
    expectUnauthorized(await stack.call('GET', '/v1/tunnels', { token: key }))
    const again = await stack.call('DELETE', `/v1/auth/keys/${api_key.id}`, { token })
    expectCountedError(again, 'not_found', { message: 'API key not found' })
  })

  it('refuses a key that may do more than the caller', async () => {
    const { api_key } = await create({ name: 'Wide' })
    const { key: narrow } = await create({ name: 'Narrow', permissions: ['keys:manage'] })
    const answer = await stack.call('DELETE', `/v1/auth/keys/${api_key.id}`, { token: narrow })
    expectScopeMissing(answer, 'account:read')
    expectRate(answer)
  })

  it('refuses a call without a credential, and a key that may not, as PATCH does', async () => {
    const { key, api_key } = await create({ name: 'Reader', permissions: ['tunnels:read'] })
    for (const method of ['PATCH', 'DELETE']) {
      expectUnauthorized(await stack.call(method, `/v1/auth/keys/${api_key.id}`))
      const answer = await stack.call(method, `/v1/auth/keys/${api_key.id}`, { token: key })
      expectScopeMissing(answer, 'keys:manage')
    }
  })

  it('refuses a reason that is too long', async () => {
    const { api_key } = await create({ name: 'Kept' })
    const path = `/v1/auth/keys/${api_key.id}?reason=${'x'.repeat(201)}`
    const answer = await stack.call('DELETE', path, { token })
    expectCountedError(answer, 'validation_error', aField('reason', 'must be at most 200 characters'))
  })
})

describe('POST /v1/auth/keys/verify', () => {
  const verify = (key: string, permissions?: string[]) =>
    stack.call('POST', '/v1/auth/keys/verify', { token, body: { key, permissions } })

  it('tells whether a key works, and why not', async () => {
    const { key, api_key } = await create({ name: 'Checked', permissions: ['tunnels:read'] })
    const path = `/v1/auth/keys/${api_key.id}`
    const lacking = await verify(key, ['tunnels:read', 'tunnels:write'])
    expectAnswer(lacking, { valid: false, code: 'INSUFFICIENT_PERMISSIONS', api_key })

    const disabled = { ...api_key, enabled: false, state: 'disabled', updated_at: aTime }
    await stack.call('PATCH', path, { token, body: { enabled: false } })
    expectAnswer(await verify(key), { valid: false, code: 'DISABLED', api_key: disabled })

    const enabled = { ...disabled, enabled: true, state: 'active' }
    await stack.call('PATCH', path, { token, body: { enabled: true } })
    expectAnswer(await verify(key, ['tunnels:read']), { valid: true, code: 'VALID', api_key: enabled })

    await stack.call('DELETE', path, { token })
    expectAnswer(await verify(key), { valid: false, code: 'NOT_FOUND' })
  })

  it('counts as a use where the key works', async () => {
    const { key, api_key } = await create({ name: 'Used' })
    await verify(key)
    const used = await eventually(async () => {
      const { body } = await stack.call('GET', `/v1/auth/keys/${api_key.id}`, { token })
      return body.request_count === 0 ? undefined : body
    })
    const { last_used } = used
    const last = { last_used: aTime, last_used_at: last_used, last_request: last_used }
    expect(used).toEqual({ ...api_key, ...last, request_count: 1 })
  })

  it('refuses what is no scope, a call without a credential, and a key that may not', async () => {
    const { key } = await create({ name: 'Reader', permissions: ['tunnels:read'] })
    const fault = aField('permissions[0]', 'is not a scope, nor a pattern that matches one')
    expectCountedError(await verify(key, ['everything']), 'validation_error', fault)
    expectUnauthorized(await stack.call('POST', '/v1/auth/keys/verify', { body: { key } }))
    const answer = await stack.call('POST', '/v1/auth/keys/verify', { token: key, body: { key } })
    expectScopeMissing(answer, 'keys:manage')
  })

  it('answers EXPIRED once the key has expired, to the second', async () => {
    const { key, api_key } = await create({ name: 'Brief', expires_in: 1 })
    const answer = await eventually(async () => {
      const answer = await verify(key)
      return answer.body.code === 'VALID' ? undefined : answer
    })
    expect(Date.now()).toBeGreaterThanOrEqual(new Date(api_key.expires_at).getTime())
    // How often it was used before, and when, is told a moment later.
    const used = ['last_used', 'last_used_at', 'last_request'].map((name) => [name, aTimeOrNone])
    const counted = { ...Object.fromEntries(used), request_count: expect.any(Number) }
    const shown = { ...api_key, ...counted, state: 'expired' }
    expectAnswer(answer, { valid: false, code: 'EXPIRED', api_key: shown })
    expectUnauthorized(await stack.call('GET', '/v1/tunnels', { token: key }))
  })

  it('knows nothing of another user’s key', async () => {
    const eve = await newcomer()
    expectAnswer(await verify(eve.api_key), { valid: false, code: 'NOT_FOUND' })
  })
})

/** Asks again until there is an answer; for what is told by events and known a moment later. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
  }
}
