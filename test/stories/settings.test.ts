import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { aField, expectCountedError, expectError, expectUnauthorized } from '@instatunnel/test/errors'
import { type Call, restClient } from '@instatunnel/test/rest-client'
import { aDeviceCookie, aKey, anId, aTime, aToken, expectAnswer } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What settings change: a domain, a proxy before the gateway, plans; and the bounds that none changes. */

const domain = 'tunnels.example'
const admin = { email: 'root@elsewhere.example', password: 'a long admin password' }
const authLimit = 60 // more than the 51 logins of one e-mail below

let stack: TestStack
let accounts: Accounts
let addresses = 0

/** As our proxy tells that a call came from there. */
const from = (address: string) => ({ 'x-forwarded-for': address })
/** Somewhere that nobody called from before. */
const newAddress = () => `198.51.100.${++addresses}`
const elsewhere = () => from(newAddress())

beforeAll(async () => {
  stack = await startTestStack({
    settings: {
      INSTATUNNEL_DOMAIN: domain,
      REGISTRATION: 'domain:Example.com.',
      INSTATUNNEL_ADMIN_EMAIL: admin.email,
      INSTATUNNEL_ADMIN_PASSWORD: admin.password,
      TRUSTED_HOPS: '1',
      LIMIT_AUTH_PER_MINUTE: `${authLimit}`,
      PLANS: JSON.stringify({ free: { tunnels: 1 } }),
    },
  })
  accounts = accountsOf((method, path, options) =>
    stack.call(method, path, { ...options, headers: elsewhere() }),
  )
})
afterAll(() => stack.stop())

const userOf = ({ id, email }: Account) => ({
  id,
  email,
  name: '',
  username: email.split('@')[0],
  plan: 'free',
  role: 'user',
  status: 'active',
  created_at: aTime,
})

describe('INSTATUNNEL_DOMAIN', () => {
  const on = (host: string): Call => restClient({ port: stack.gateway.port, host })

  it('is where tunnels lie', async () => {
    const { id, token } = await accounts.register()
    const body = { name: 'Site', subdomain: 'site', local_port: 3000 }
    const answer = await stack.call('POST', '/v1/tunnels', { token, body })
    const tunnel = {
      id: anId('tun_'),
      ...body,
      token: expect.stringMatching(/^itt_/),
      status: 'inactive',
      domain,
      url: `http://site.${domain}:${stack.gateway.port}`,
      created_at: aTime,
      updated_at: aTime,
      user_id: id,
      ephemeral: false,
    }
    expectAnswer(answer, { success: true, tunnel })
  })

  it('is where the API answers, as is api. below it, and no other name', async () => {
    const { token } = await accounts.register()
    for (const host of [domain, `api.${domain}`, domain.toUpperCase(), 'localhost'])
      expectAnswer(await on(host)('GET', '/v1/tunnels', { token }), { tunnels: [], next_page_token: '' })
    for (const host of [`${domain}.evil.example`, 'example']) {
      const answer = await on(host)('GET', '/v1/tunnels', { token })
      expectError(answer, 'not_found', { message: 'There is nothing at this path.' })
    }
    const site = await on(`site.${domain}`)('GET', '/v1/tunnels', { token })
    expect(site).toMatchObject({ status: 502, body: { error: 'tunnel_offline' } })
    const nobodys = await on(`api.api.${domain}`)('GET', '/v1/tunnels', { token })
    expect(nobodys).toMatchObject({ status: 404, body: { message: 'There is no tunnel with this name.' } })
  })

  it('has cookies that are bound to its host by their names', async () => {
    const ada = await accounts.register()
    const body = { email: ada.email, password: ada.password }
    const login = await stack.call('POST', '/v1/auth/login', { body, headers: elsewhere() })
    const { token } = login.body
    expectAnswer(
      login,
      { user: userOf(ada), token: aToken, expires_at: aTime, api_key: aKey },
      {
        'set-cookie': [
          `__Host-instatunnel_session=${token}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax; Secure`,
          aDeviceCookie('__Host-instatunnel_device', '/'),
        ],
      },
    )
    const whoAmI = (cookie: string) => stack.call('GET', '/v1/auth/whoami', { cookie })
    const cookie = `theme=dark; __Host-instatunnel_session=${token}`
    expect(bodyOf(await whoAmI(cookie))).toMatchObject({ user: userOf(ada), credential: { type: 'session' } })
    // A neighbour below the domain could have set this one.
    expectUnauthorized(await whoAmI(`instatunnel_session=${token}`))

    const logout = await stack.call('POST', '/v1/auth/logout', { cookie })
    const attributes = 'Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure'
    const cleared = ['__Host-instatunnel_session', '__Host-session'].map((name) => `${name}=; ${attributes}`)
    expectAnswer(logout, { success: true }, { 'set-cookie': cleared })
    expectUnauthorized(await whoAmI(cookie))
  })
})

describe('TRUSTED_HOPS', () => {
  const sessionsOf = async ({ token }: Account) =>
    bodyOf(await stack.call('GET', '/v1/auth/sessions', { token })).sessions
  const loginFrom = async ({ email, password }: Account, headers: Record<string, string>) => {
    const answer = await stack.call('POST', '/v1/auth/login', { body: { email, password }, headers })
    return bodyOf(answer)
  }

  it("takes a session's address from the right of X-Forwarded-For, whatever stands left of it", async () => {
    const ada = await accounts.register()
    for (const forwarded of [
      '198.51.100.200',
      '203.0.113.1, 198.51.100.200',
      'nonsense, ::1, 198.51.100.200',
    ])
      await loginFrom(ada, from(forwarded))
    await loginFrom(ada, { ...from('2001:db8::1'), 'x-real-ip': '203.0.113.1', forwarded: 'for=203.0.113.1' })
    await loginFrom(ada, {})
    const seen = (await sessionsOf(ada)).map(({ address }: { address: string }) => address)
    expect(seen.slice(0, 5)).toEqual(['127.0.0.1', '2001:db8::1', ...Array(3).fill('198.51.100.200')])
  })

  it('counts the auth limit by that address', async () => {
    const address = newAddress()
    const register = (forwarded: string) =>
      stack.call('POST', '/v1/auth/register', { body: {}, headers: from(forwarded) })
    for (let i = 0; i < authLimit; i++) {
      const answer = await register(`203.0.113.${i}, ${address}`)
      expect(answer.status).toBe(400)
      expect(answer.headers['ratelimit-remaining']).toBe(`${authLimit - 1 - i}`)
    }
    const refused = await register(`203.0.113.99, ${address}`)
    const { retry_after } = refused.body
    expectError(refused, 'rate_limited', { message: 'API rate limit exceeded', retry_after })
    expect(retry_after).toBeGreaterThan(0)
    // Whoever comes from elsewhere is not kept out by naming it.
    const other = await register(`${address}, ${newAddress()}`)
    expect(other.headers['ratelimit-remaining']).toBe(`${authLimit - 1}`)
  })
})

describe('REGISTRATION', () => {
  const password = 'correct horse battery'
  const register = (email: string, invitation?: string) =>
    stack.call('POST', '/v1/auth/register', {
      body: { email, password, ...(invitation === undefined ? {} : { invitation }) },
      headers: elsewhere(),
    })
  const closed = {
    message: 'Only e-mail addresses at example.com may register here; ask an administrator for an invitation',
  }
  const invalid = {
    message:
      'This invitation is not for this e-mail, has expired, was used or revoked; ask an administrator for another',
    fields: [{ field: 'invitation', message: 'is not good for this e-mail' }],
  }

  it('lets in e-mails at a domain, and no others, whether they have an account or not', async () => {
    expect((await register('Grace+ci@EXAMPLE.com')).status).toBe(200)
    for (const email of [
      'eve@evil.example',
      'eve@sub.example.com',
      'eve%example.com@evil.example',
      admin.email,
    ])
      expectCountedError(await register(email), 'forbidden', closed)
    for (const email of [
      '"eve@evil.example"@example.com',
      'eve@example.com@evil.example',
      'eve@example.com.',
    ])
      expectCountedError(
        await register(email),
        'validation_error',
        aField('email', 'must be an e-mail address'),
      )
  })

  it('lets in whom an admin invites, once, whatever the domain', async () => {
    const root = await accounts.login(admin)
    const invite = (body: object) => stack.call('POST', '/v1/admin/invitations', { token: root.token, body })
    const email = 'linus@kernel.example'
    const made = await invite({ email, plan: 'pro' })
    const invitation = {
      id: anId('inv_'),
      email,
      plan: 'pro',
      role: 'user',
      invited_by: root.id,
      created_at: aTime,
      expires_at: aTime,
    }
    const { token, url } = made.body
    expectAnswer(made, { invitation, token: expect.stringMatching(/^iti_[0-9A-Za-z]{32}$/), url })
    const list = () => stack.call('GET', '/v1/admin/invitations', { token: root.token })
    expectAnswer(await list(), { invitations: [invitation], next_page_token: '' })
    expectCountedError(await register('eve@evil.example', token), 'forbidden', invalid)
    // As the page behind the link does it: with the link's fragment, which was sent to no server.
    const { origin, pathname, hash } = new URL(url)
    expect([origin, pathname]).toEqual([stack.gateway.url, '/invite'])
    const page = await stack.call('GET', pathname)
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.text).toContain("'/v1/auth/register'")
    const { user } = bodyOf(await register(email, hash.slice(1)))
    expect(user).toMatchObject({ email, plan: 'pro', role: 'user' })
    expectCountedError(await register(email, token), 'forbidden', invalid)
    expectAnswer(await list(), { invitations: [], next_page_token: '' })

    const gone = bodyOf(await invite({ email: 'eve@evil.example' }))
    const path = `/v1/admin/invitations/${gone.invitation.id}`
    expectAnswer(await stack.call('DELETE', path, { token: root.token }), { success: true })
    expectCountedError(await register('eve@evil.example', gone.token), 'forbidden', invalid)
    const again = await stack.call('DELETE', path, { token: root.token })
    expectCountedError(again, 'not_found', { message: 'There is no such invitation' })
    expectCountedError(await invite({ email }), 'conflict', {
      message: 'There is an account with this e-mail',
      fields: [{ field: 'email', message: 'has an account' }],
    })
  })
})

describe('PLANS', () => {
  it('sets how many tunnels a plan allows', async () => {
    const { token } = await accounts.register()
    await accounts.tunnel(token)
    const answer = await stack.call('POST', '/v1/tunnels', { token, body: { name: 'B', local_port: 1 } })
    expectCountedError(answer, 'plan_limit', {
      message: 'The free plan allows 1 tunnel at a time; delete one first, or move to a larger plan',
    })
  })
})

describe('bounds', () => {
  it('of sessions: a user has 50, and one more ends the oldest', async () => {
    const logins = [await accounts.register()]
    const [oldest] = logins as [Account]
    while (logins.length < 51) logins.push(await accounts.login(oldest))
    const [, second, ...others] = logins as [Account, Account, ...Account[]]
    const last = others.at(-1) as Account

    for (const token of [oldest.token, oldest.apiKey])
      expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', { token }))
    for (const token of [second.token, second.apiKey, last.token, last.apiKey])
      bodyOf(await stack.call('GET', '/v1/auth/whoami', { token }))

    // Each came from an address of its own, so that these tell which of them are left.
    const address = (i: number) => `198.51.100.${addresses - i}`
    const sessions = Array.from({ length: 50 }, (_, i) => ({
      id: anId('ses_'),
      created_at: aTime,
      expires_at: aTime,
      user_agent: '',
      address: address(i),
      current: i === 0,
    }))
    const listed = await stack.call('GET', '/v1/auth/sessions', { token: last.token })
    expectAnswer(listed, { sessions, next_page_token: '' })
  })

  it('of a body: 1 MiB is read, a byte more is not', async () => {
    const { token } = await accounts.register()
    const bodyOfSize = (size: number) => `{"local_port":1,"name":"${'x'.repeat(size - 26)}"}`
    expect(bodyOfSize(1_048_576)).toHaveLength(1_048_576)
    const whole = await stack.call('POST', '/v1/tunnels', { token, body: bodyOfSize(1_048_576) })
    expectCountedError(whole, 'validation_error', aField('name', 'must be 1 to 100 characters'))
    const larger = await stack.call('POST', '/v1/tunnels', { token, body: bodyOfSize(1_048_577) })
    expectError(larger, 'payload_too_large', { message: 'The body is larger than 1 MiB.' })
  })

  it('of headers: 32 KiB, what the gateway itself adds included, and 100 of them', async () => {
    const { token } = await accounts.register()
    const message = 'The headers are larger than 32 KiB or more than 100.'
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, '']))
    for (const headers of [{ 'x-large': 'x'.repeat(33 * 1024) }, many])
      expectError(await stack.call('GET', '/v1/tunnels', { token, headers }), 'headers_too_large', {
        message,
      })
    const large = { 'x-large': 'x'.repeat(29 * 1024) }
    bodyOf(await stack.call('GET', '/v1/tunnels', { token, headers: large }))
    // Between what is plainly allowed and plainly refused it is one or the other, whatever the gateway adds.
    for (const kib of [29.5, 30, 30.5, 31, 31.5, 32]) {
      const headers = { 'x-large': 'x'.repeat(kib * 1024) }
      const answer = await stack.call('GET', '/v1/tunnels', { token, headers })
      if (answer.status !== 200) expectError(answer, 'headers_too_large', { message })
    }
  })
})
