import { aKey, anId, aTime, aToken, expectJsonHeaders, expectRate } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The calls that InstaTunnel, Expose and InTunnel document for accounts, through the front door. */

const password = 'correct horse battery'
let stack: TestStack

beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack.stop())

let people = 0
const newEmail = () => `john.${++people}@example.com`

async function registered(email = newEmail()) {
  const answer = await stack.call('POST', '/v1/auth/register', {
    body: { email, password, name: 'John Doe' },
  })
  expect(answer.status).toBe(200)
  return { email, ...answer.body } as { email: string; token: string; api_key: string; user: { id: string } }
}

const user = (email: string) => ({
  id: anId('user_'),
  email,
  name: 'John Doe',
  username: email.split('@')[0],
  plan: 'free',
  role: 'user',
  created_at: aTime,
})

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

describe('POST /v1/auth/register', () => {
  it('makes an account and logs it in, as Expose documents', async () => {
    const email = newEmail()
    const answer = await stack.call('POST', '/v1/auth/register', {
      body: { email, password, name: 'John Doe' },
    })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expectRate(answer)
    expect(answer.body).toEqual({ user: user(email), token: aToken, expires_at: aTime, api_key: aKey })
  })

  it('refuses an e-mail that has an account, whatever its case', async () => {
    const { email } = await registered()
    const answer = await stack.call('POST', '/v1/auth/register', {
      body: { email: email.toUpperCase(), password },
    })
    expect(answer.status).toBe(409)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({
      error: 'conflict',
      message: 'There is an account with this e-mail; log in instead',
      code: 4010,
      fields: [{ field: 'email', message: 'has an account' }],
    })
  })

  it('names every field that is not acceptable', async () => {
    const answer = await stack.call('POST', '/v1/auth/register', {
      body: { email: 'john', password: 'short' },
    })
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual({
      error: 'validation_error',
      message: 'email: must be an e-mail address; password: must be 10 to 128 characters',
      code: 4000,
      fields: [
        { field: 'email', message: 'must be an e-mail address' },
        { field: 'password', message: 'must be 10 to 128 characters' },
      ],
    })
  })
})

describe('POST /v1/auth/login', () => {
  it('answers with user, token and key, and sets the session cookie', async () => {
    const { email } = await registered()
    const answer = await stack.call('POST', '/v1/auth/login', {
      body: { email: email.toUpperCase(), password },
    })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer, ['set-cookie'])
    expect(answer.body).toEqual({ user: user(email), token: aToken, expires_at: aTime, api_key: aKey })
    expect(answer.headers['set-cookie']).toEqual([
      `session=${answer.body.token}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure`,
    ])
  })

  it('gives a key that belongs to the session and never expires by itself', async () => {
    const { api_key, token } = await registered()
    const keys = await stack.call('GET', '/v1/auth/keys', { token })
    expect(keys.body.keys).toHaveLength(1)
    expect(keys.body.keys[0]).toMatchObject({
      key: `it_***...${api_key.slice(-3)}`,
      permissions: USER_SCOPES,
    })
    expect(keys.body.keys[0]).not.toHaveProperty('expires_at')
    await stack.call('POST', '/v1/auth/logout', { token })
    expect((await stack.call('GET', '/v1/auth/user', { token: api_key })).status).toBe(401)
  })

  it('answers a wrong password and an unknown e-mail alike', async () => {
    const { email } = await registered()
    const wrong = await stack.call('POST', '/v1/auth/login', {
      body: { email, password: 'not the password' },
    })
    const unknown = await stack.call('POST', '/v1/auth/login', { body: { email: newEmail(), password } })
    for (const answer of [wrong, unknown]) {
      expect(answer.status).toBe(401)
      expectJsonHeaders(answer, ['www-authenticate'])
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="instatunnel"')
      expect(answer.body).toEqual({
        error: 'unauthorized',
        message: 'The e-mail or the password is not right',
        code: 4001,
      })
    }
  })
})

describe('POST /v1/auth/logout', () => {
  it('ends the session that it is called with, and its key', async () => {
    const { token, api_key } = await registered()
    const answer = await stack.call('POST', '/v1/auth/logout', { token })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer, ['set-cookie'])
    expect(answer.headers['set-cookie']).toEqual([
      'session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure',
    ])
    expect(answer.body).toEqual({ success: true })
    for (const ended of [token, api_key]) {
      const refused = await stack.call('GET', '/v1/auth/user', { token: ended })
      expect(refused.status).toBe(401)
      expect(refused.body).toEqual({
        error: 'unauthorized',
        message: 'Invalid or missing API key',
        code: 4001,
      })
    }
  })

  it('revokes the key that it is called with, and no other', async () => {
    const { token } = await registered()
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token, body: { name: 'CI' } })).body
    expect((await stack.call('POST', '/v1/auth/logout', { token: key })).status).toBe(200)
    expect((await stack.call('GET', '/v1/auth/user', { token: key })).status).toBe(401)
    expect((await stack.call('GET', '/v1/auth/user', { token })).status).toBe(200)
  })
})

describe('GET /v1/auth/user and GET /v1/user/profile', () => {
  it('return the account with its usage, as InstaTunnel and InTunnel document', async () => {
    const { email, api_key: token } = await registered()
    await stack.call('POST', '/v1/tunnels', { token, body: { name: 'One', local_port: 3000 } })
    for (const path of ['/v1/auth/user', '/v1/user/profile']) {
      const answer = await stack.call('GET', path, { token })
      expect(answer.status).toBe(200)
      expectJsonHeaders(answer)
      expectRate(answer)
      expect(answer.body).toEqual({
        ...user(email),
        tunnels_count: 1,
        usage: { tunnels_created: 1, data_transferred: '0 B', data_transferred_bytes: 0, requests_served: 0 },
      })
    }
  })

  it('accept the session cookie, as InTunnel documents', async () => {
    const { email, token } = await registered()
    const answer = await stack.call('GET', '/v1/user/profile', { cookie: `theme=dark; session=${token}` })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject(user(email))
  })

  it('refuse a call without a credential', async () => {
    const answer = await stack.call('GET', '/v1/auth/user')
    expect(answer.status).toBe(401)
    expectJsonHeaders(answer, ['www-authenticate'])
    expect(answer.body).toEqual({ error: 'unauthorized', message: 'Invalid or missing API key', code: 4001 })
  })

  it('refuse a key without the scope and name it', async () => {
    const { token } = await registered()
    const body = { name: 'CI', permissions: ['tunnels:read'] }
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token, body })).body
    const answer = await stack.call('GET', '/v1/auth/user', { token: key })
    expect(answer.status).toBe(403)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({
      error: 'forbidden',
      message: 'Insufficient permissions for this operation',
      code: 4003,
      required_scope: 'account:read',
    })
  })
})

describe('PATCH /v1/auth/user', () => {
  it('changes what is present', async () => {
    const { email, token } = await registered()
    const answer = await stack.call('PATCH', '/v1/auth/user', {
      token,
      body: { username: 'jd', name: 'J. Döe' },
    })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({ ...user(email), username: 'jd', name: 'J. Döe' })
  })

  it('sets exactly what update_mask names, absent ones cleared', async () => {
    const { email, token } = await registered()
    const masked = await stack.call('PATCH', '/v1/auth/user?update_mask=name', {
      token,
      body: { username: 'jd' },
    })
    expect(masked.body).toEqual({ ...user(email), name: '' })
    const wrong = await stack.call('PATCH', '/v1/auth/user', { token, body: { update_mask: 'plan' } })
    expect(wrong.status).toBe(400)
    expect(wrong.body).toEqual({
      error: 'validation_error',
      message: 'update_mask: "plan" cannot be updated; name some of name, username',
      code: 4000,
      fields: [{ field: 'update_mask', message: '"plan" cannot be updated; name some of name, username' }],
    })
  })
})

describe('POST /v1/auth/password', () => {
  it('changes the password and ends every other session', async () => {
    const { email, token, api_key } = await registered()
    const other = (await stack.call('POST', '/v1/auth/login', { body: { email, password } })).body
    const body = { current_password: password, new_password: 'staple battery horse' }
    const answer = await stack.call('POST', '/v1/auth/password', { token, body })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({ success: true, sessions_ended: 1 })
    for (const [credential, status] of [
      [token, 200],
      [api_key, 200],
      [other.token, 401],
      [other.api_key, 401],
    ] as const) {
      expect((await stack.call('GET', '/v1/auth/user', { token: credential })).status).toBe(status)
    }
    expect((await stack.call('POST', '/v1/auth/login', { body: { email, password } })).status).toBe(401)
    const again = await stack.call('POST', '/v1/auth/login', {
      body: { email, password: 'staple battery horse' },
    })
    expect(again.status).toBe(200)
  })

  it('refuses a wrong current password', async () => {
    const { token } = await registered()
    const body = { current_password: 'not the password', new_password: 'staple battery horse' }
    const answer = await stack.call('POST', '/v1/auth/password', { token, body })
    expect(answer.status).toBe(403)
    expect(answer.body).toEqual({
      error: 'forbidden',
      message: "current_password: is not the account's password",
      code: 4003,
      fields: [{ field: 'current_password', message: "is not the account's password" }],
    })
  })
})

describe('GET /v1/auth/whoami', () => {
  it('tells what a key is and may do', async () => {
    const { email, token } = await registered()
    const body = { name: 'CI', permissions: ['tunnels:*', 'analytics:read'], expires_in: 3600 }
    const made = (await stack.call('POST', '/v1/auth/keys', { token, body })).body
    const answer = await stack.call('GET', '/v1/auth/whoami', { token: made.key })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({
      user: user(email),
      plan: 'free',
      credential: {
        type: 'api_key',
        id: made.api_key.id,
        key: made.api_key.key,
        scopes: ['analytics:read', 'tunnels:delete', 'tunnels:read', 'tunnels:stats', 'tunnels:write'],
        expires_at: aTime,
      },
    })
  })

  it('tells what a session is', async () => {
    const { token } = await registered()
    const answer = await stack.call('GET', '/v1/auth/whoami', { token })
    expect(answer.body.credential).toEqual({
      type: 'session',
      id: anId('ses_'),
      key: '',
      scopes: USER_SCOPES,
      expires_at: aTime,
    })
  })
})

describe('GET and DELETE /v1/auth/sessions', () => {
  it('list live sessions, newest first, and end one', async () => {
    const { email, token } = await registered()
    const headers = { 'user-agent': 'curl/8.0' }
    const other = (await stack.call('POST', '/v1/auth/login', { body: { email, password }, headers })).body
    const listed = await stack.call('GET', '/v1/auth/sessions', { token })
    expect(listed.status).toBe(200)
    expectJsonHeaders(listed)
    const session = { id: anId('ses_'), created_at: aTime, expires_at: aTime, address: '127.0.0.1' }
    expect(listed.body).toEqual({
      sessions: [
        { ...session, user_agent: 'curl/8.0', current: false },
        { ...session, user_agent: '', current: true },
      ],
      next_page_token: '',
    })
    const [{ id }] = listed.body.sessions
    const ended = await stack.call('DELETE', `/v1/auth/sessions/${id}`, { token })
    expect(ended.status).toBe(200)
    expect(ended.body).toEqual({ success: true })
    expect((await stack.call('GET', '/v1/auth/user', { token: other.token })).status).toBe(401)
    const again = await stack.call('DELETE', `/v1/auth/sessions/${id}`, { token })
    expect(again.status).toBe(404)
    expect(again.body).toEqual({ error: 'not_found', message: 'You have no such session', code: 4004 })
  })
})
