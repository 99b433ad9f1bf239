import { aField, expectCountedError, expectScopeMissing, expectUnauthorized } from '@instatunnel/test/errors'
import { aDeviceCookie, aKey, anId, aTime, aToken, expectAnswer } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The calls that InstaTunnel, Expose and InTunnel document for accounts, through the front door. */

const password = 'correct horse battery'
const cleared = 'instatunnel_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure'
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
  status: 'active',
  created_at: aTime,
})

/** Without a status: an account that is suspended reads nothing. */
const profile = (email: string, tunnels: number) => {
  const { status: _, ...account } = user(email)
  return {
    ...account,
    tunnels_count: tunnels,
    usage: {
      tunnels_created: tunnels,
      data_transferred: '0 B',
      data_transferred_bytes: 0,
      requests_served: 0,
    },
  }
}

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
    expectAnswer(
      answer,
      { user: user(email), token: aToken, expires_at: aTime, api_key: aKey },
      { 'set-cookie': [aDeviceCookie('instatunnel_device', '/v1/auth')] },
    )
  })

  it('refuses an e-mail that has an account, whatever its case', async () => {
    const { email } = await registered()
    const answer = await stack.call('POST', '/v1/auth/register', {
      body: { email: email.toUpperCase(), password },
    })
    expectCountedError(answer, 'conflict', {
      message: 'There is an account with this e-mail; log in instead',
      fields: [{ field: 'email', message: 'has an account' }],
    })
  })

  it('names every field that is not acceptable', async () => {
    const answer = await stack.call('POST', '/v1/auth/register', {
      body: { email: 'john', password: 'short' },
    })
    expectCountedError(answer, 'validation_error', {
      message: 'email: must be an e-mail address; password: must be 10 to 128 characters',
      fields: [
        { field: 'email', message: 'must be an e-mail address' },
        { field: 'password', message: 'must be 10 to 128 characters' },
      ],
    })
  })
})

describe('POST /v1/auth/login', () => {
  it('answers with user, token and key, and sets the cookies of session and device', async () => {
    const { email } = await registered()
    const answer = await stack.call('POST', '/v1/auth/login', {
      body: { email: email.toUpperCase(), password },
    })
    expectAnswer(
      answer,
      { user: user(email), token: aToken, expires_at: aTime, api_key: aKey },
      {
        'set-cookie': [
          `instatunnel_session=${answer.body.token}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure`,
          aDeviceCookie('instatunnel_device', '/v1/auth'),
        ],
      },
    )
  })

  it('gives a key that belongs to the session and never expires by itself', async () => {
    const { api_key, token, user } = await registered()
    const start = api_key.slice(0, 5)
    expectAnswer(await stack.call('GET', '/v1/auth/keys', { token }), {
      keys: [
        {
          id: anId('key_'),
          name: 'Session key',
          key: `it_***...${api_key.slice(-3)}`,
          prefix: 'it_',
          start,
          key_prefix: start,
          user_id: user.id,
          session_id: anId('ses_'),
          permissions: USER_SCOPES,
          enabled: true,
          metadata: {},
          created_at: aTime,
          updated_at: aTime,
          request_count: 0,
          state: 'active',
          rate_limit_enabled: true,
          allowed_ips: [],
          allowed_subdomains: [],
        },
      ],
      next_page_token: '',
    })
    await stack.call('POST', '/v1/auth/logout', { token })
    expectUnauthorized(await stack.call('GET', '/v1/auth/user', { token: api_key }))
  })

  it('answers a wrong password and an unknown e-mail alike', async () => {
    const { email } = await registered()
    const wrong = await stack.call('POST', '/v1/auth/login', {
      body: { email, password: 'not the password' },
    })
    const unknown = await stack.call('POST', '/v1/auth/login', { body: { email: newEmail(), password } })
    for (const answer of [wrong, unknown]) {
      expectCountedError(answer, 'unauthorized', { message: 'The e-mail or the password is not right' })
    }
  })
})

describe('POST /v1/auth/logout', () => {
  it('ends the session that it is called with, and its key', async () => {
    const { token, api_key } = await registered()
    const answer = await stack.call('POST', '/v1/auth/logout', { token })
    expectAnswer(answer, { success: true }, { 'set-cookie': [cleared] })
    for (const ended of [token, api_key])
      expectUnauthorized(await stack.call('GET', '/v1/auth/user', { token: ended }))
  })

  it('revokes the key that it is called with, and no other', async () => {
    const { token } = await registered()
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token, body: { name: 'CI' } })).body
    const answer = await stack.call('POST', '/v1/auth/logout', { token: key })
    expectAnswer(answer, { success: true }, { 'set-cookie': [cleared] })
    expectUnauthorized(await stack.call('GET', '/v1/auth/user', { token: key }))
    expect((await stack.call('GET', '/v1/auth/user', { token })).status).toBe(200)
  })

  it('ends the sessions of all cookies that have a name of ours, and clears each name', async () => {
    const [now, before] = [await registered(), await registered()]
    const cookie = `session=${before.token}; instatunnel_session=${now.token}`
    const answer = await stack.call('POST', '/v1/auth/logout', { cookie })
    const names = ['instatunnel_session', 'session']
    const both = names.map((name) => cleared.replace('instatunnel_session', name))
    expectAnswer(answer, { success: true }, { 'set-cookie': both })
    for (const { token } of [now, before])
      expectUnauthorized(await stack.call('GET', '/v1/auth/user', { token }))
  })

  it('ends the session whose cookie it is called with', async () => {
    const { token } = await registered()
    const answer = await stack.call('POST', '/v1/auth/logout', { cookie: `instatunnel_session=${token}` })
    expectAnswer(answer, { success: true }, { 'set-cookie': [cleared] })
    expectUnauthorized(await stack.call('GET', '/v1/auth/user', { cookie: `instatunnel_session=${token}` }))
  })

  it('refuses a call without a credential', async () => {
    expectUnauthorized(await stack.call('POST', '/v1/auth/logout'))
  })
})

describe('GET /v1/auth/user and GET /v1/user/profile', () => {
  it('return the account with its usage, as InstaTunnel and InTunnel document', async () => {
    const { email, api_key: token } = await registered()
    await stack.call('POST', '/v1/tunnels', { token, body: { name: 'One', local_port: 3000 } })
    for (const path of ['/v1/auth/user', '/v1/user/profile']) {
      expectAnswer(await stack.call('GET', path, { token }), profile(email, 1))
    }
  })

  it('accept the session cookie, as InTunnel documents', async () => {
    const { email, token } = await registered()
    const cookie = `theme=dark; instatunnel_session=${token}`
    for (const path of ['/v1/auth/user', '/v1/user/profile'])
      expectAnswer(await stack.call('GET', path, { cookie }), profile(email, 0))
  })

  it('refuse a call without a credential', async () => {
    for (const path of ['/v1/auth/user', '/v1/user/profile'])
      expectUnauthorized(await stack.call('GET', path))
  })

  it('refuse a key without the scope and name it', async () => {
    const { token } = await registered()
    const body = { name: 'CI', permissions: ['tunnels:read'] }
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token, body })).body
    for (const path of ['/v1/auth/user', '/v1/user/profile'])
      expectScopeMissing(await stack.call('GET', path, { token: key }), 'account:read')
  })
})

describe('PATCH /v1/auth/user', () => {
  it('changes what is present', async () => {
    const { email, token } = await registered()
    const answer = await stack.call('PATCH', '/v1/auth/user', {
      token,
      body: { username: 'jd', name: 'J. Döe' },
    })
    expectAnswer(answer, { ...user(email), username: 'jd', name: 'J. Döe' })
  })

  it('sets exactly what update_mask names, absent ones cleared', async () => {
    const { email, token } = await registered()
    const masked = await stack.call('PATCH', '/v1/auth/user?update_mask=name', {
      token,
      body: { username: 'jd' },
    })
    expectAnswer(masked, { ...user(email), name: '' })
    const wrong = await stack.call('PATCH', '/v1/auth/user', { token, body: { update_mask: 'plan' } })
    const fault = aField('update_mask', '"plan" cannot be updated; name some of name, username')
    expectCountedError(wrong, 'validation_error', fault)
  })
})

describe('POST /v1/auth/password', () => {
  it('changes the password and ends every other session', async () => {
    const { email, token, api_key } = await registered()
    const other = (await stack.call('POST', '/v1/auth/login', { body: { email, password } })).body
    const body = { current_password: password, new_password: 'staple battery horse' }
    const answer = await stack.call('POST', '/v1/auth/password', { token, body })
    expectAnswer(answer, { success: true, sessions_ended: 1 })
    for (const [credential, status] of [
      [token, 200],
      [api_key, 200],
      [other.token, 401],
      [other.api_key, 401],
    ] as const) {
      expect((await stack.call('GET', '/v1/auth/user', { token: credential })).status).toBe(status)
    }
    const old = await stack.call('POST', '/v1/auth/login', { body: { email, password } })
    expectCountedError(old, 'unauthorized', { message: 'The e-mail or the password is not right' })
    const again = await stack.call('POST', '/v1/auth/login', {
      body: { email, password: 'staple battery horse' },
    })
    expect(again.status).toBe(200)
  })

  it('refuses a wrong current password', async () => {
    const { token } = await registered()
    const body = { current_password: 'not the password', new_password: 'staple battery horse' }
    const answer = await stack.call('POST', '/v1/auth/password', { token, body })
    const fault = aField('current_password', "is not the account's password")
    expectCountedError(answer, 'forbidden', fault)
  })

  it('refuses a new password that is too short, before it looks at the current one', async () => {
    const { token } = await registered()
    const body = { current_password: 'not the password', new_password: 'short' }
    const answer = await stack.call('POST', '/v1/auth/password', { token, body })
    expectCountedError(answer, 'validation_error', aField('new_password', 'must be 10 to 128 characters'))
  })
})

describe('GET /v1/auth/whoami', () => {
  it('tells what a key is and may do', async () => {
    const { email, token } = await registered()
    const body = { name: 'CI', permissions: ['tunnels:*', 'analytics:read'], expires_in: 3600 }
    const made = (await stack.call('POST', '/v1/auth/keys', { token, body })).body
    const answer = await stack.call('GET', '/v1/auth/whoami', { token: made.key })
    expectAnswer(answer, {
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
    const { email, token } = await registered()
    const credential = { type: 'session', id: anId('ses_'), key: '', scopes: USER_SCOPES, expires_at: aTime }
    const whoAmI = { user: user(email), plan: 'free', credential }
    expectAnswer(await stack.call('GET', '/v1/auth/whoami', { token }), whoAmI)
    expectAnswer(
      await stack.call('GET', '/v1/auth/whoami', { cookie: `instatunnel_session=${token}` }),
      whoAmI,
    )
  })

  it('refuses what is no credential', async () => {
    expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', { token: 'it_1234567890abcdef' }))
  })
})

describe('GET and DELETE /v1/auth/sessions', () => {
  it('list live sessions, newest first, and end one', async () => {
    const { email, token } = await registered()
    const headers = { 'user-agent': 'curl/8.0' }
    const other = (await stack.call('POST', '/v1/auth/login', { body: { email, password }, headers })).body
    const listed = await stack.call('GET', '/v1/auth/sessions', { token })
    const session = { id: anId('ses_'), created_at: aTime, expires_at: aTime, address: '127.0.0.1' }
    expectAnswer(listed, {
      sessions: [
        { ...session, user_agent: 'curl/8.0', current: false },
        { ...session, user_agent: '', current: true },
      ],
      next_page_token: '',
    })
    const [{ id }] = listed.body.sessions
    const ended = await stack.call('DELETE', `/v1/auth/sessions/${id}`, { token })
    expectAnswer(ended, { success: true })
    expectUnauthorized(await stack.call('GET', '/v1/auth/user', { token: other.token }))
    expectUnauthorized(await stack.call('GET', '/v1/auth/user', { token: other.api_key }))
    const again = await stack.call('DELETE', `/v1/auth/sessions/${id}`, { token })
    expectCountedError(again, 'not_found', { message: 'You have no such session' })
  })
})

describe('without a credential, or without its scope', () => {
  it.each([
    ['PATCH', '/v1/auth/user', 'account:write'],
    ['POST', '/v1/auth/password', 'account:write'],
    ['GET', '/v1/auth/sessions', 'account:read'],
    ['DELETE', '/v1/auth/sessions/ses_1', 'account:write'],
  ])('%s %s is refused', async (method, path, scope) => {
    const { token } = await registered()
    const body = { name: 'CI', permissions: ['tunnels:read'] }
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token, body })).body
    expectUnauthorized(await stack.call(method, path))
    expectScopeMissing(await stack.call(method, path, { token: key }), scope)
  })
})
