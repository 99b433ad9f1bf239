import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { expectCountedError, expectError, expectUnauthorized } from '@instatunnel/test/errors'
import { forgeries, readJwt } from '@instatunnel/test/jwt'
import type { Answer } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { treeCpuMicroseconds } from '../bench/cpu.ts'

/** What is presented as a session or a key and is none, and how one may be presented. */

let stack: TestStack
let accounts: Accounts
let ada: Account
let eve: Account
let origin: string

beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
  ada = await accounts.register()
  eve = await accounts.register()
  origin = `http://localhost:${stack.gateway.port}`
})
afterAll(() => stack.stop())

type Headers = Record<string, string | string[]>
const whoami = (headers: Headers, cookie?: string) =>
  stack.call('GET', '/v1/auth/whoami', { headers, cookie })
const withBearer = (token: string) => whoami({ authorization: `Bearer ${token}` })
const userIn = (answer: Answer) => bodyOf(answer).user.id

describe('a session’s token', () => {
  it('admits as bearer and as cookie', async () => {
    expect(userIn(await withBearer(ada.token))).toBe(ada.id)
    expect(userIn(await whoami({}, `instatunnel_session=${ada.token}`))).toBe(ada.id)
  })

  it('that is forged or altered is refused, as bearer and as cookie', async () => {
    const { claims } = readJwt(ada.token)
    const forged = forgeries(eve.token, { better: { sub: claims.sub, sid: claims.sid } })
    expect(forged.length).toBeGreaterThan(30)
    for (const [, token] of forged) {
      expectUnauthorized(await withBearer(token))
      expectUnauthorized(await whoami({}, `instatunnel_session=${token}`))
    }
    // What every one of them was made from is good all the while.
    expect(userIn(await withBearer(eve.token))).toBe(eve.id)
  })

  it('is refused in pieces, longer than any, and in another spelling', async () => {
    const { token } = ada
    const [header, body, signature] = token.split('.')
    for (const odd of [
      `${header}.${body}`,
      `${header}..${signature}`,
      `..`,
      `eyJ`,
      `.${token}`,
      `${token}.`,
      `${token}=`,
      `${token}%00`,
      `"${token}"`,
      token.toLowerCase(),
      token.replaceAll('.', ':'),
      `${token}${'A'.repeat(4000)}`,
    ]) {
      expectUnauthorized(await withBearer(odd))
    }
  })

  it('is refused once its session ended: by logout, by hand, by a new password', async () => {
    const user = await accounts.register()
    const [out, ended, changed] = [
      await accounts.login(user),
      await accounts.login(user),
      await accounts.login(user),
    ]
    bodyOf(await stack.call('POST', '/v1/auth/logout', { token: out.token, body: {} }))
    const { id } = bodyOf(await withBearer(ended.token)).credential
    bodyOf(await stack.call('DELETE', `/v1/auth/sessions/${id}`, { token: user.token }))
    const body = { current_password: user.password, new_password: `changed ${user.password}` }
    bodyOf(await stack.call('POST', '/v1/auth/password', { token: user.token, body }))
    for (const { token, apiKey } of [out, ended, changed]) {
      expectUnauthorized(await withBearer(token))
      expectUnauthorized(await whoami({}, `instatunnel_session=${token}`))
      expectUnauthorized(await withBearer(apiKey))
    }
    expect(userIn(await withBearer(user.token))).toBe(user.id)
  })
})

describe('an API key', () => {
  it('is refused when it is disabled, deleted or expired, and admits again when it is enabled', async () => {
    const { id, key } = await accounts.key(ada.token)
    const path = `/v1/auth/keys/${id}`
    const enable = async (enabled: boolean) =>
      bodyOf(await stack.call('PATCH', path, { token: ada.token, body: { enabled } }))
    expect(userIn(await withBearer(key))).toBe(ada.id)
    await enable(false)
    expectUnauthorized(await withBearer(key))
    await enable(true)
    expect(userIn(await withBearer(key))).toBe(ada.id)
    bodyOf(await stack.call('DELETE', path, { token: ada.token }))
    expectUnauthorized(await withBearer(key))

    const brief = await accounts.key(ada.token, { expires_in: 1 })
    await expect.poll(async () => (await withBearer(brief.key)).status, { timeout: 5000 }).toBe(401)
    expectUnauthorized(await withBearer(brief.key))
  })

  it('is refused in another spelling, cut, or longer', async () => {
    const { key } = await accounts.key(ada.token)
    for (const odd of [
      key.slice(0, -1),
      `${key}0`,
      key.slice(3),
      key.toUpperCase(),
      key.replace('it_', 'itt_'),
      key.replace('it_', 'IT_'),
      `${key.slice(0, 5)}%61${key.slice(6)}`,
      `${key};`,
      `${key},${key}`,
      'it_',
      'it_0000000000000000',
      "it_'or'1'='1'--0000",
      'it_%25252525252525',
      'key',
    ]) {
      expectUnauthorized(await withBearer(odd))
    }
  })

  it('is no session: refused in the cookie', async () => {
    expectUnauthorized(await whoami({}, `instatunnel_session=${ada.apiKey}`))
  })

  it('is not taken from the query, the body or another header', async () => {
    const { apiKey } = ada
    expectUnauthorized(await whoami({ 'x-api-key': apiKey, 'proxy-authorization': `Bearer ${apiKey}` }))
    for (const name of ['access_token', 'api_key', 'token', 'key']) {
      expectUnauthorized(await stack.call('GET', `/v1/auth/whoami?${name}=${apiKey}`))
      const answer = await stack.call('GET', `/v1/auth/whoami?${name}=${apiKey}`, { token: apiKey })
      expectCountedError(answer, 'validation_error', {
        message: `${name}: is not a parameter of this call, which has none`,
        fields: [{ field: name, message: 'is not a parameter of this call, which has none' }],
      })
    }
    expectUnauthorized(await stack.call('POST', '/v1/auth/logout', { body: { access_token: apiKey } }))
    expect(userIn(await whoami({ authorization: `Bearer ${apiKey}` }))).toBe(ada.id)
  })
})

describe('the Authorization header', () => {
  it('takes the scheme in any case, and more than one space after it', async () => {
    for (const text of ['Bearer ', 'bearer ', 'BEARER ', 'bEaReR ', 'Bearer    ']) {
      expect(userIn(await whoami({ authorization: `${text}${ada.apiKey}` }))).toBe(ada.id)
    }
  })

  it('is refused in every other form', async () => {
    const { apiKey: key, token } = ada
    for (const authorization of [
      '',
      'Bearer',
      'Bearer ',
      key,
      `Bearer${key}`,
      `Bearer\t${key}`,
      `Bearer: ${key}`,
      `Bearer=${key}`,
      `Bearer "${key}"`,
      `Bearer ${key} ${key}`,
      `Bearer ${key}, Bearer ${key}`,
      `Bearer ${key}\t.`,
      `Bearer Bearer ${key}`,
      `Token ${key}`,
      `Basic ${Buffer.from(`${key}:`).toString('base64')}`,
      `Basic ${Buffer.from(`${ada.email}:${ada.password}`).toString('base64')}`,
      `Digest username="${ada.email}"`,
      `Bearer ${token.replaceAll('.', ' . ')}`,
      `Bearer ${Buffer.from(key).toString('base64')}`,
      `Bearer \u00e9${key}`,
    ]) {
      expectUnauthorized(await whoami({ authorization }))
    }
  })

  it('is refused twice, also where both, or one of them, are good', async () => {
    const [one, other] = [`Bearer ${ada.apiKey}`, `Bearer ${eve.apiKey}`]
    for (const authorization of [
      [one, one],
      [one, other],
      [one, 'Bearer'],
      ['Bearer', one],
    ]) {
      expectUnauthorized(await whoami({ authorization }))
    }
    // One that says nothing is none.
    expect(userIn(await whoami({ authorization: ['', one] }))).toBe(ada.id)
  })
})

describe('the session cookie', () => {
  it('is found among others, and read only under its own name', async () => {
    const { token } = ada
    for (const cookie of [
      `instatunnel_session=${token}`,
      `theme=dark; instatunnel_session=${token}; lang=en`,
      `a=b;instatunnel_session=${token}`,
    ]) {
      expect(userIn(await whoami({}, cookie))).toBe(ada.id)
    }
    for (const cookie of [
      `Instatunnel_session=${token}`,
      `INSTATUNNEL_SESSION=${token}`,
      `xinstatunnel_session=${token}`,
      `instatunnel_session2=${token}`,
      `__Host-instatunnel_session=${token}`,
      `__Host-session=${token}`,
      `__Secure-instatunnel_session=${token}`,
      `theme="; instatunnel_session=${token}`.replaceAll(';', '%3B'),
      token,
      `=${token}`,
      'instatunnel_session',
      'instatunnel_session=',
      'instatunnel_session=; theme=dark',
    ]) {
      expectUnauthorized(await whoami({}, cookie))
    }
  })

  it('is its own beside those of other apps on localhost, in quotes, and under the name that it had', async () => {
    for (const cookie of [
      `session=of-another-app; instatunnel_session=${ada.token}`,
      `session=${eve.token}; instatunnel_session=${ada.token}`,
      `instatunnel_session="${ada.token}"`,
      `session=of-another-app; session=${ada.token}`,
    ]) {
      expect(userIn(await whoami({}, cookie)), cookie).toBe(ada.id)
    }
    expectUnauthorized(await whoami({}, 'session=of-another-app'))
  })

  it('given several times, the first that is good counts', async () => {
    const named = (value: string) => `instatunnel_session=${value}`
    const both = [named(ada.token), named(eve.token)]
    expect(userIn(await whoami({}, both.join('; ')))).toBe(ada.id)
    expect(userIn(await whoami({ cookie: both }))).toBe(ada.id)
    for (const wrong of ['nobody', `${eve.token}x`])
      expect(userIn(await whoami({}, `${named(wrong)}; ${named(ada.token)}`))).toBe(ada.id)
  })

  it('beside a bearer, the bearer alone counts, good or not', async () => {
    const cookie = `instatunnel_session=${eve.token}`
    expect(userIn(await whoami({ authorization: `Bearer ${ada.apiKey}` }, cookie))).toBe(ada.id)
    for (const authorization of ['Bearer it_0000000000000000', 'Bearer', '', `Basic ${eve.token}`]) {
      expectUnauthorized(await whoami({ authorization }, cookie))
    }
  })
})

describe('a browser with the session cookie', () => {
  /** What browsers send along, by where the page came from. */
  const ours = () => [
    { origin, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'same-origin' },
    { origin }, // a browser without fetch metadata
    { 'sec-fetch-site': 'none' }, // typed into the address bar
    {}, // no browser
  ]
  const foreign = () => [
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'https://evil.example' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' }, // a sandboxed frame
    { origin: 'null' },
    { origin: '', 'sec-fetch-site': 'same-origin' },
    // A tunnel's site, which shares our registrable name.
    { origin: `http://mine.localhost:${stack.gateway.port}`, 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'same-site' },
    // Nearly ours.
    { origin: `https://localhost:${stack.gateway.port}` },
    { origin: 'http://localhost' },
    { origin: `http://localhost:${stack.gateway.port + 1}` },
    { origin: `http://127.0.0.1:${stack.gateway.port}` },
    { origin: `${origin}.evil.example` },
    { origin: `${origin}/` },
    { origin: origin.toUpperCase() },
    { origin: `${origin} https://evil.example` },
    { origin: [origin, 'https://evil.example'] },
    { origin, 'sec-fetch-site': 'cross-site' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
    { origin, 'sec-fetch-site': 'Same-Origin' },
    { origin, 'sec-fetch-site': '' },
    { origin, 'sec-fetch-site': ['same-origin', 'cross-site'] },
  ]
  const crossSite = {
    message: 'The session cookie admits no changes from another site; send the token as a bearer',
  }
  const changing = (id: string): [string, string, object | undefined][] => [
    ['POST', '/v1/tunnels', { name: 'A', local_port: 1 }],
    ['PATCH', `/v1/tunnels/${id}`, { name: 'B' }],
    ['POST', `/v1/tunnels/${id}/regenerate-token`, {}],
    ['DELETE', `/v1/tunnels/${id}`, undefined],
    ['PATCH', '/v1/auth/user', { name: 'Eve' }],
    ['POST', '/v1/auth/password', { current_password: ada.password, new_password: 'correct horse battery' }],
    ['POST', '/v1/auth/keys', { name: 'A' }],
    ['POST', '/v1/api-keys', { name: 'A' }],
    ['POST', '/v1/auth/keys/verify', { key: ada.apiKey }],
    ['DELETE', '/v1/auth/sessions/ses_1', undefined],
    ['POST', '/v1/auth/logout', undefined],
  ]

  it('may read from anywhere, and no other site is let read the answer', async () => {
    for (const headers of [...ours(), ...foreign()] as Headers[]) {
      const answer = await whoami(headers, `instatunnel_session=${ada.token}`)
      expect(userIn(answer)).toBe(ada.id)
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    }
  })

  it('may change nothing from another site', async () => {
    const cookie = `instatunnel_session=${ada.token}`
    const mine = await accounts.tunnel(ada.apiKey)
    const state = async () => [
      bodyOf(await stack.call('GET', '/v1/tunnels', { token: ada.token })),
      bodyOf(await stack.call('GET', '/v1/auth/keys', { token: ada.token })).keys.length,
      bodyOf(await stack.call('GET', '/v1/auth/user', { token: ada.token })),
      bodyOf(await stack.call('GET', '/v1/auth/sessions', { token: ada.token })),
    ]
    const before = await state()
    for (const headers of foreign() as Headers[]) {
      for (const [method, path, body] of changing(mine.id)) {
        expectError(await stack.call(method, path, { headers, body, cookie }), 'forbidden', crossSite)
      }
    }
    expect(await state()).toEqual(before)
  })

  it('may change things from our own pages', async () => {
    const cookie = `instatunnel_session=${ada.token}`
    for (const headers of ours() as Headers[]) {
      const body = { name: `Ada ${Math.random()}` }
      expect(bodyOf(await stack.call('PATCH', '/v1/auth/user', { headers, body, cookie })).name).toBe(
        body.name,
      )
    }
  })

  it('cannot be made to send what a form can', async () => {
    const headers = { origin, 'sec-fetch-site': 'same-origin' }
    const cookie = `instatunnel_session=${ada.token}`
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b',
    ]) {
      const body = '{"name":"A","local_port":1}'
      expectError(
        await stack.call('POST', '/v1/tunnels', {
          headers: { ...headers, 'content-type': type },
          body,
          cookie,
        }),
        'unsupported_media_type',
        { message: 'The body must be application/json.' },
      )
    }
  })

  it('with a bearer is asked nothing: no browser adds one by itself', async () => {
    for (const headers of foreign() as Headers[]) {
      bodyOf(await stack.call('PATCH', '/v1/auth/user', { token: ada.token, headers, body: { name: 'Ada' } }))
    }
  })
})

describe('a login that fails', () => {
  const login = (email: string, password: string) =>
    stack.call('POST', '/v1/auth/login', { body: { email, password } })

  it('tells nothing of why: a wrong password and an unknown e-mail are answered alike, byte for byte', async () => {
    const told = ({ status, headers, text }: Answer) => {
      // These count calls, name the call and tell the time.
      const {
        date,
        'x-request-id': id,
        'ratelimit-remaining': left,
        'ratelimit-reset': reset,
        ...rest
      } = headers
      return { status, headers: rest, text }
    }
    const wrong = await login(ada.email, 'not the password')
    const unknown = await login('nobody@example.com', 'not the password')
    expectError(wrong, 'unauthorized', { message: 'The e-mail or the password is not right' })
    expect(told(unknown)).toEqual(told(wrong))
  })
  // Work and not time, which is the machine's.
  it('is as much work for an unknown e-mail as for a wrong password', async () => {
    const { pid } = stack.service('auth').process()
    const work = async (email: string) => {
      const before = treeCpuMicroseconds(pid)
      for (let i = 0; i < 10; i++) expect((await login(email, 'not the password')).status).toBe(401)
      return treeCpuMicroseconds(pid) - before
    }
    const [wrong, unknown] = [await work(ada.email), await work('somebody@example.com')]
    expect(unknown).toBeGreaterThan(wrong / 2)
    expect(wrong).toBeGreaterThan(unknown / 2)
  })
})
