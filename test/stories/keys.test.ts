import { aKey, anId, aTime, expectJsonHeaders, expectRate } from '@instatunnel/test/shapes'
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
  ...fields,
})

describe('POST /v1/auth/keys', () => {
  it('makes a key with the permissions asked for and shows its secret once', async () => {
    const body = { name: 'CI/CD Key', permissions: ['tunnels:read'] }
    const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expectRate(answer)
    const { key } = answer.body
    expect(answer.body).toEqual({
      api_key: shownKey(key, { name: 'CI/CD Key', permissions: ['tunnels:read'] }),
      key: aKey,
    })
  })

  it('answers at /v1/api-keys too, as Expose documents, with all of the owner’s permissions', async () => {
    const answer = await stack.call('POST', '/v1/api-keys', { token, body: { name: 'MacBook Pro' } })
    expect(answer.status).toBe(200)
    expect(answer.body.key).toEqual(aKey)
    expect(answer.body.api_key).toMatchObject({
      name: 'MacBook Pro',
      key_prefix: answer.body.key.slice(0, 5),
    })
    expect(answer.body.api_key.permissions).toHaveLength(12)
  })

  it('takes better-auth’s fields, camelCase too', async () => {
    const metadata = { team: 'blue', nested: { list: [1, 'two', null, true] } }
    const body = { name: 'Deploy', prefix: 'acme_', expiresIn: 3600, metadata }
    const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
    const { key, api_key } = answer.body
    expect(key).toMatch(/^acme_[0-9A-Za-z]{32}$/)
    expect(api_key).toEqual(
      shownKey(key, {
        name: 'Deploy',
        key: `acme_***...${key.slice(-3)}`,
        prefix: 'acme_',
        start: key.slice(0, 6),
        key_prefix: key.slice(0, 6),
        permissions: expect.any(Array),
        metadata,
        expires_at: aTime,
      }),
    )
    expect(new Date(api_key.expires_at).getTime() - new Date(api_key.created_at).getTime()).toBe(3_600_000)
    expect((await stack.call('GET', '/v1/tunnels', { token: key })).status).toBe(200)
  })

  it('refuses a permission that the creator lacks, and makes nothing', async () => {
    const body = { name: 'Root', permissions: ['tunnels:read', 'admin:read'] }
    const answer = await stack.call('POST', '/v1/auth/keys', { token, body })
    expect(answer.status).toBe(403)
    expect(answer.body).toEqual({
      error: 'forbidden',
      message: 'Insufficient permissions for this operation',
      code: 4003,
      required_scope: 'admin:read',
    })
    const listed = await stack.call('GET', '/v1/auth/keys', { token })
    expect(listed.body.keys.map(({ name }: { name: string }) => name)).not.toContain('Root')
  })
})

describe('GET /v1/auth/keys and GET /v1/auth/keys/{id}', () => {
  it('show keys masked, with when they were last used', async () => {
    const observer = await stack.observe()
    const { key, api_key } = await create({
      name: 'Production Key',
      permissions: ['tunnels:read', 'tunnels:write'],
    })
    await stack.call('GET', '/v1/tunnels', { token: key })
    await observer.event(
      ({ subject, data }) => subject.endsWith('usage.key') && JSON.stringify(data).includes(api_key.id),
    )
    const used = await eventually(async () => {
      const { body } = await stack.call('GET', `/v1/auth/keys/${api_key.id}`, { token })
      return body.last_used ? body : undefined
    })
    expect(used).toEqual({
      ...api_key,
      last_used: aTime,
      last_used_at: used.last_used,
      last_request: used.last_used,
      request_count: 1,
    })
    const listed = await stack.call('GET', '/v1/auth/keys', { token })
    expect(listed.status).toBe(200)
    expectJsonHeaders(listed)
    expect(listed.body.keys).toContainEqual(used)
    expect(listed.body.next_page_token).toBe('')
    expect(listed.text).not.toContain(key)
  })

  it('page through keys, newest first', async () => {
    const { token: own } = (
      await stack.call('POST', '/v1/auth/register', {
        body: { email: 'pages@example.com', password: 'correct horse battery' },
      })
    ).body
    for (const name of ['a', 'b', 'c', 'd'])
      await stack.call('POST', '/v1/auth/keys', { token: own, body: { name } })
    const names: string[] = []
    let pageToken = ''
    do {
      const page = await stack.call('GET', `/v1/auth/keys?page_size=2&page_token=${pageToken}`, {
        token: own,
      })
      names.push(...page.body.keys.map(({ name }: { name: string }) => name))
      pageToken = page.body.next_page_token
    } while (pageToken !== '')
    expect(names.slice(0, 4)).toEqual(['d', 'c', 'b', 'a'])
    expect(names).toHaveLength(5) // the session's own key is the oldest
  })
})

describe('PATCH /v1/auth/keys/{id}', () => {
  it('changes what is present; a disabled key is refused at once, an enabled one admitted again', async () => {
    const { key, api_key } = await create({ name: 'Old', permissions: ['tunnels:read'], metadata: { a: 1 } })
    const path = `/v1/auth/keys/${api_key.id}`
    const disabled = await stack.call('PATCH', path, { token, body: { name: 'New', enabled: false } })
    expect(disabled.status).toBe(200)
    expectJsonHeaders(disabled)
    expect(disabled.body).toEqual({ ...api_key, name: 'New', enabled: false, updated_at: aTime })
    expect((await stack.call('GET', '/v1/tunnels', { token: key })).status).toBe(401)
    await stack.call('PATCH', path, { token, body: { enabled: true } })
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
    expect(answer.status).toBe(200)
    const { expires_at: _, ...rest } = api_key
    expect(answer.body).toEqual({ ...rest, metadata: {}, updated_at: aTime })
  })

  it('refuses permissions that the caller lacks', async () => {
    const { api_key } = await create({ name: 'Wide' })
    const { key: narrow } = await create({ name: 'Narrow', permissions: ['keys:manage'] })
    const answer = await stack.call('PATCH', `/v1/auth/keys/${api_key.id}`, {
      token: narrow,
      body: { name: 'Mine now' },
    })
    expect(answer.status).toBe(403)
    expect(answer.body).toMatchObject({ error: 'forbidden', required_scope: 'account:read' })
  })
})

describe('DELETE /v1/auth/keys/{id}', () => {
  it('revokes the key at once, for ever', async () => {
    const { key, api_key } = await create({ name: 'Leaked' })
    const answer = await stack.call('DELETE', `/v1/auth/keys/${api_key.id}?reason=leaked`, { token })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({ success: true })
    expect((await stack.call('GET', '/v1/tunnels', { token: key })).status).toBe(401)
    const again = await stack.call('DELETE', `/v1/auth/keys/${api_key.id}`, { token })
    expect(again.status).toBe(404)
    expect(again.body).toMatchObject({ error: 'not_found', code: 4004 })
  })
})

describe('POST /v1/auth/keys/verify', () => {
  const verify = (key: string, permissions?: string[]) =>
    stack.call('POST', '/v1/auth/keys/verify', { token, body: { key, permissions } })

  it('tells whether a key works, and why not', async () => {
    const { key, api_key } = await create({ name: 'Checked', permissions: ['tunnels:read'] })
    const valid = await verify(key, ['tunnels:read'])
    expect(valid.status).toBe(200)
    expectJsonHeaders(valid)
    expect(valid.body).toEqual({ valid: true, code: 'VALID', api_key })

    const { body: lacking } = await verify(key, ['tunnels:read', 'tunnels:write'])
    expect(lacking).toMatchObject({
      valid: false,
      code: 'INSUFFICIENT_PERMISSIONS',
      api_key: { id: api_key.id },
    })

    await stack.call('PATCH', `/v1/auth/keys/${api_key.id}`, { token, body: { enabled: false } })
    expect((await verify(key)).body).toMatchObject({
      valid: false,
      code: 'DISABLED',
      api_key: { enabled: false },
    })

    await stack.call('DELETE', `/v1/auth/keys/${api_key.id}`, { token })
    expect((await verify(key)).body).toEqual({ valid: false, code: 'NOT_FOUND' })
  })

  it('answers EXPIRED once the key has expired, to the second', async () => {
    const { key, api_key } = await create({ name: 'Brief', expires_in: 1 })
    const code = await eventually(async () => {
      const { body } = await verify(key)
      return body.code === 'VALID' ? undefined : body.code
    })
    expect(code).toBe('EXPIRED')
    expect(Date.now()).toBeGreaterThanOrEqual(new Date(api_key.expires_at).getTime())
    expect((await stack.call('GET', '/v1/tunnels', { token: key })).status).toBe(401)
  })

  it('knows nothing of another user’s key', async () => {
    const body = { email: 'eve@example.com', password: 'correct horse battery' }
    const eve = (await stack.call('POST', '/v1/auth/register', { body })).body
    expect((await verify(eve.api_key)).body).toEqual({ valid: false, code: 'NOT_FOUND' })
  })
})

/** Asks again until there is an answer; for what is told by events and known a moment later. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
  }
}
