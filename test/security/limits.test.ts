import { once } from 'node:events'
import { connect } from 'node:http2'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { expectError, expectUnauthorized } from '@instatunnel/test/errors'
import type { Answer } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Limits, small enough to meet. One proxy stands before the gateway, so that each test has an address of its own. */

const limits = { auth: 4, read: 6, write: 5, regenerate: 2 }

let stack: TestStack
let accounts: Accounts
let root: Account
let addresses = 0

/** Somewhere that nobody called from before. */
const newAddress = () => `198.51.100.${++addresses}`
const from = (address: string) => ({ 'x-forwarded-for': address })

beforeAll(async () => {
  const admin = { email: 'root@example.com', password: 'a long admin password' }
  stack = await startTestStack({
    settings: {
      LIMIT_AUTH_PER_MINUTE: `${limits.auth}`,
      LIMIT_READ_PER_MINUTE: `${limits.read}`,
      LIMIT_WRITE_PER_MINUTE: `${limits.write}`,
      LIMIT_REGENERATE_PER_HOUR: `${limits.regenerate}`,
      TRUSTED_HOPS: '1',
      INSTATUNNEL_ADMIN_EMAIL: admin.email,
      INSTATUNNEL_ADMIN_PASSWORD: admin.password,
    },
  })
  // Each call comes from elsewhere, unless a test says from where.
  accounts = accountsOf((method, path, options) =>
    stack.call(method, path, { ...options, headers: from(newAddress()) }),
  )
  root = await accounts.login(admin)
})
afterAll(() => stack.stop())

const times = (count: number) => Array.from({ length: count }, (_, i) => i)

/** The three headers that every counted answer has. */
function rateOf({ headers }: Answer) {
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) =>
    Number(headers[`ratelimit-${name}`]),
  )
  expect(reset).toBeGreaterThan(0)
  expect(reset).toBeLessThanOrEqual(60)
  return { limit, remaining }
}

/** The cookie that an answer has the browser know its device by, as it is sent back. */
function deviceCookieOf({ headers }: Answer): string {
  const cookie = [headers['set-cookie'] ?? []].flat().find((each) => each.startsWith('instatunnel_device='))
  return cookie?.split(';')[0] ?? 'no device'
}

/** That the answer is 429 in its one shape: when to come again is told in the body and by two headers alike. */
function expectLimited(answer: Answer, limit: number) {
  const seconds = answer.body.retry_after
  expectError(answer, 'rate_limited', { message: 'API rate limit exceeded', retry_after: seconds })
  expect(Number.isInteger(seconds) && seconds > 0 && seconds <= 60, answer.text).toBe(true)
  expect(rateOf(answer)).toEqual({ limit, remaining: 0 })
  expect(answer.headers['ratelimit-reset']).toBe(String(seconds))
}

describe('register and login', () => {
  const wrong = (email: string, headers: Record<string, string>) =>
    stack.call('POST', '/v1/auth/login', { body: { email, password: 'not the password' }, headers })
  let people = 0
  const somebody = () => `somebody.${++people}@example.com`

  it('share one limit per client address; logins that succeed do not use it up', async () => {
    const headers = from(newAddress())
    const body = { email: somebody(), password: 'correct horse battery' }
    const answers = [
      await stack.call('POST', '/v1/auth/register', { body, headers }),
      await stack.call('POST', '/v1/auth/login', { body, headers }),
      await wrong(somebody(), headers),
      await stack.call('POST', '/v1/auth/register', { body: {}, headers }),
      await wrong(somebody(), headers),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 401, 400, 401])
    const left = [3, 2, 2, 1, 0]
    expect(answers.map(rateOf)).toEqual(left.map((remaining) => ({ limit: limits.auth, remaining })))
    expectLimited(await stack.call('POST', '/v1/auth/login', { body, headers }), limits.auth)
    expectLimited(
      await stack.call('POST', '/v1/auth/register', { body: { ...body, email: somebody() }, headers }),
      limits.auth,
    )
    // Elsewhere it goes on.
    expect((await stack.call('POST', '/v1/auth/login', { body, headers: from(newAddress()) })).status).toBe(
      200,
    )
  })

  it('are counted by the address that our proxy tells, not by what a client writes before it', async () => {
    const address = newAddress()
    for (const i of times(limits.auth)) {
      const answer = await wrong(somebody(), {
        'x-forwarded-for': `203.0.113.${i}, 10.0.0.${i}, ${address}`,
        'x-real-ip': `203.0.113.${i}`,
      })
      expect(rateOf(answer).remaining).toBe(limits.auth - 1 - i)
    }
    expectLimited(
      await wrong(somebody(), {
        'x-forwarded-for': `203.0.113.99, ${address}`,
        'x-instatunnel-client-address': '203.0.113.99',
      }),
      limits.auth,
    )
  })

  it('are counted by the /64 where the address is IPv6', async () => {
    for (const i of times(limits.auth))
      expect((await wrong(somebody(), from(`2001:db8:1:2::${i + 1}`))).status).toBe(401)
    expectLimited(await wrong(somebody(), from('2001:db8:1:2:ffff::1')), limits.auth)
    expect((await wrong(somebody(), from('2001:db8:1:3::1'))).status).toBe(401)
  })

  it('are counted by the IPv4 address where it is written as IPv6: not all of IPv4 as one /64', async () => {
    const address = newAddress()
    for (const i of times(limits.auth))
      expect((await wrong(somebody(), from(i % 2 === 0 ? `::ffff:${address}` : address))).status).toBe(401)
    expectLimited(await wrong(somebody(), from(`0:0:0:0:0:FFFF:${address}`)), limits.auth)
    expect((await wrong(somebody(), from(`::ffff:${newAddress()}`))).status).toBe(401)
  })

  it('are counted by the address where our proxy tells it with a port, as Azure’s do', async () => {
    const address = newAddress()
    for (const i of times(limits.auth))
      expect((await wrong(somebody(), from(`203.0.113.${i}:1, ${address}:${50_000 + i}`))).status).toBe(401)
    expectLimited(await wrong(somebody(), from(address)), limits.auth)
    expect((await wrong(somebody(), from(`${newAddress()}:50000`))).status).toBe(401)
  })

  it('admit exactly as many as the limit of what comes at once', async () => {
    const headers = from(newAddress())
    const answers = await Promise.all(times(20).map(() => wrong(somebody(), headers)))
    const admitted = answers.filter(({ status }) => status === 401)
    expect(admitted).toHaveLength(limits.auth)
    for (const answer of answers.filter((answer) => !admitted.includes(answer)))
      expectLimited(answer, limits.auth)
  })

  it('share it with wrong current passwords, where one is changed, whatever account changes it', async () => {
    const headers = from(newAddress())
    const users = await Promise.all(times(limits.auth).map(() => accounts.register()))
    const body = { current_password: 'not the password', new_password: 'correct horse battery' }
    const change = ({ token }: Account) => stack.call('POST', '/v1/auth/password', { token, body, headers })
    const [first, ...others] = users as [Account, ...Account[]]
    expect((await wrong(first.email, headers)).status).toBe(401)
    for (const user of others) expect((await change(user)).status).toBe(403)
    expect((await change(first)).status).toBe(429)
    expectLimited(await wrong(first.email, headers), limits.auth)
  })

  it('keep strangers waiting that try one e-mail from wherever, and register it', async () => {
    const user = await accounts.register()
    const spellings = [user.email, user.email.toUpperCase(), user.email.replace(/^./, (c) => c.toUpperCase())]
    const tries = times(limits.auth * 3 + 4).map((i) => wrong(spellings[i % 3] ?? '', from(newAddress())))
    const refusals = (await Promise.all(tries)).filter(({ status }) => status !== 401)
    expect(refusals.length).toBeGreaterThan(0)
    for (const answer of refusals) expectLimited(answer, limits.auth * 3)
    const again = times(4).map(() =>
      stack.call('POST', '/v1/auth/register', {
        body: { email: user.email, password: user.password },
        headers: from(newAddress()),
      }),
    )
    const limited = (await Promise.all(again)).filter(({ status }) => status === 429)
    expect(limited.length).toBeGreaterThan(1)
  })

  it('keep nobody from an e-mail that has no account, whatever strangers tried of it', async () => {
    const body = { email: somebody(), password: 'correct horse battery' }
    const tries = times(limits.auth * 3 + 4).map(() => wrong(body.email, from(newAddress())))
    const statuses = (await Promise.all(tries)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0)
    bodyOf(await stack.call('POST', '/v1/auth/register', { body, headers: from(newAddress()) }))
  })

  /** What `during` gives, while 40 networks try 8 passwords of an e-mail a second; and what those were answered. */
  async function attacked<T>(email: string, during: () => Promise<T>): Promise<[T, number[]]> {
    const networks = times(40).map(() => from(newAddress()))
    let sent = 0
    const guesses: Promise<Answer>[] = []
    const guess = () => guesses.push(wrong(email, networks[sent++ % networks.length] ?? {}))
    for (const _ of networks) guess()
    const attack = setInterval(guess, 1000 / 8)
    const given = await during().finally(() => clearInterval(attack))
    return [given, (await Promise.all(guesses)).map(({ status }) => status)]
  }
  const logins = async (body: object, headersOf: () => Record<string, string>) => {
    const statuses: number[] = []
    for (const _ of times(30))
      statuses.push((await stack.call('POST', '/v1/auth/login', { body, headers: headersOf() })).status)
    return statuses
  }

  it('let the owner in from their own network, 30 times of 30, while 40 others try 8 passwords a second', async () => {
    const home = from(newAddress())
    const body = { email: somebody(), password: 'correct horse battery' }
    bodyOf(await stack.call('POST', '/v1/auth/register', { body, headers: home }))
    const [statuses, others] = await attacked(body.email, () => logins(body, () => home))
    expect(statuses).toEqual(Array(30).fill(200))
    expect(others.filter((status) => status !== 429).length).toBeLessThan(limits.auth * 3 + 10)
    expect(others).not.toContain(200)
  })

  it('let the owner in by their own device, 30 times of 30 from networks never seen, while 40 others try passwords', async () => {
    const body = { email: somebody(), password: 'correct horse battery' }
    const browser = { ...from(newAddress()), 'sec-fetch-site': 'same-origin' }
    const device = deviceCookieOf(await stack.call('POST', '/v1/auth/register', { body, headers: browser }))
    // Programs that keep no cookies do not push the browser out.
    const home = from(newAddress())
    for (let n = 0; n < 20; n++) bodyOf(await stack.call('POST', '/v1/auth/login', { body, headers: home }))
    const [statuses, others] = await attacked(body.email, () =>
      logins(body, () => ({ ...from(newAddress()), cookie: device })),
    )
    expect(statuses).toEqual(Array(30).fill(200))
    expect(others).not.toContain(200)
  })
})

describe('calls of a user', () => {
  it('are counted together over keys, sessions and cookies: reading and changing apart', async () => {
    const user = await accounts.register()
    const other = await accounts.key(user.token) // the first that changes something
    const read = (options: object) => stack.call('GET', '/v1/tunnels', options)
    const by = [
      { token: user.token },
      { token: user.apiKey },
      { token: other.key },
      { cookie: `instatunnel_session=${user.token}` },
    ]
    const reads: Answer[] = []
    for (const i of times(limits.read)) reads.push(await read(by[i % by.length] ?? {}))
    expect(reads.map(({ status }) => status)).toEqual(Array(limits.read).fill(200))
    expect(reads.map(rateOf)).toEqual(
      [5, 4, 3, 2, 1, 0].map((remaining) => ({ limit: limits.read, remaining })),
    )
    for (const options of by) expectLimited(await read(options), limits.read)

    // Changing is counted apart, and refusals of the service count as well.
    const changes = [
      await stack.call('POST', '/v1/tunnels', { token: other.key, body: { name: 'A', local_port: 1 } }),
      await stack.call('DELETE', '/v1/tunnels/tun_1', { token: user.apiKey }),
      await stack.call('PATCH', '/v1/auth/user', { token: user.token, body: { username: '' } }),
      await stack.call('POST', '/v1/auth/password', { token: user.token, body: {} }),
    ]
    expect(changes.map(({ status }) => status)).toEqual([200, 404, 400, 400])
    expect(changes.map(rateOf)).toEqual([3, 2, 1, 0].map((remaining) => ({ limit: limits.write, remaining })))
    for (const token of [user.token, user.apiKey, other.key]) {
      expectLimited(
        await stack.call('POST', '/v1/tunnels', { token, body: { name: 'B', local_port: 1 } }),
        limits.write,
      )
    }
    // Others have limits of their own, at the same address.
    const neighbour = await accounts.register()
    expect((await read({ token: neighbour.token })).status).toBe(200)
  })

  it('count as changing where their body is not small, also where they read', async () => {
    const { apiKey } = await accounts.register()
    const verify = (length: number) =>
      stack.call('POST', '/v1/auth/keys/verify', {
        token: apiKey,
        body: { key: apiKey, permissions: ['x'.repeat(length)] },
      })
    expect(rateOf(await verify(100))).toEqual({ limit: limits.read, remaining: limits.read - 1 })
    for (const length of [...Array(limits.write - 1).fill(10_000), 100_000])
      expect(rateOf(await verify(length)).limit).toBe(limits.write)
    expectLimited(await verify(10_000), limits.write)
    expect(rateOf(await verify(100))).toEqual({ limit: limits.read, remaining: limits.read - 2 })
  })

  it('of a larger plan may be more, from the next one on', async () => {
    const user = await accounts.register()
    for (const _ of times(limits.read)) bodyOf(await stack.call('GET', '/v1/tunnels', { token: user.token }))
    expectLimited(await stack.call('GET', '/v1/tunnels', { token: user.token }), limits.read)
    const body = { plan: 'pro' }
    bodyOf(await stack.call('PATCH', `/v1/admin/users/${user.id}`, { token: root.token, body }))
    const answer = await stack.call('GET', '/v1/tunnels', { token: user.token })
    expect(answer.status).toBe(200)
    expect(rateOf(answer)).toEqual({ limit: limits.read * 5, remaining: limits.read * 4 - 1 })
  })
})

describe('a tunnel’s new token', () => {
  it('may be asked for so many times an hour, each tunnel by itself, refusals and strangers not counted', async () => {
    const user = await accounts.register()
    const [tunnel, another] = [await accounts.tunnel(user.apiKey), await accounts.tunnel(user.apiKey)]
    const body = { plan: 'business' }
    bodyOf(await stack.call('PATCH', `/v1/admin/users/${user.id}`, { token: root.token, body }))
    const regenerate = (id: string, token = user.token) =>
      stack.call('POST', `/v1/tunnels/${id}/regenerate-token`, { token, body: {} })
    const stranger = await accounts.register()
    for (const _ of times(limits.regenerate + 1))
      expect((await regenerate(tunnel.id, stranger.token)).status).toBe(404)

    const tokens = await Promise.all(times(6).map(() => regenerate(tunnel.id)))
    const given = tokens.filter(({ status }) => status === 200)
    expect(given).toHaveLength(limits.regenerate)
    for (const answer of tokens.filter((answer) => !given.includes(answer))) {
      const seconds = answer.body.retry_after
      expectError(answer, 'rate_limited', {
        message: "A tunnel's token can be regenerated 2 times an hour; try again later",
        retry_after: seconds,
      })
      // It tells of this limit, and not of the one of all that the user changes.
      const told = ['limit', 'remaining', 'reset'].map((name) => answer.headers[`ratelimit-${name}`])
      expect(told).toEqual([`${limits.regenerate}`, '0', `${seconds}`])
      expect(seconds).toBeGreaterThan(3500)
      expect(seconds).toBeLessThanOrEqual(3600)
    }
    // The last one given is the one that is good.
    const shown = bodyOf(await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token: user.token })).token
    expect(given.map(({ body }) => body.token)).toContain(shown)
    expect((await regenerate(another.id)).status).toBe(200)
  })
})

describe('invalid credentials', () => {
  it('are limited per client address to ten times as many, and keep no valid one out', async () => {
    const headers = from(newAddress())
    const user = await accounts.register()
    const guess = (i: number) => {
      const guesses = [
        `it_${String(i).padStart(16, '0')}`,
        `itt_${String(i).padStart(32, '0')}`,
        `eyJ.${i}.x`,
        `acme_${'0'.repeat(32)}`,
        '?',
      ]
      return stack.call('GET', '/v1/tunnels', { token: guesses[i % guesses.length], headers })
    }
    for (const i of times(limits.auth * 10)) expectUnauthorized(await guess(i))
    for (const i of times(5)) expectLimited(await guess(i), limits.auth * 10)
    // Of the form of ours: any other cookie is none, and no guess.
    const forged = user.token.slice(0, -10) + [...user.token.slice(-10)].reverse().join('')
    expectLimited(
      await stack.call('GET', '/v1/auth/whoami', { cookie: `instatunnel_session=${forged}`, headers }),
      limits.auth * 10,
    )
    // What has not the form of a session's token is the cookie of another app, and no guess.
    const theirs = { cookie: `instatunnel_session=${user.token}x`, headers }
    expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', theirs))
    // None at all is no guess, and a good one is none either.
    expectUnauthorized(await stack.call('GET', '/v1/tunnels', { headers }))
    expect((await stack.call('GET', '/v1/tunnels', { token: user.apiKey, headers })).status).toBe(200)
    // Elsewhere one may guess on.
    expectUnauthorized(
      await stack.call('GET', '/v1/tunnels', { token: 'it_0000000000000000', headers: from(newAddress()) }),
    )
  })
})

describe('600 logins at once', () => {
  it('leave a session that was not met before its answer while they wait, and those are 503 that the queue has no room for', async () => {
    const { token } = await accounts.login(await accounts.register())
    let unanswered = 600
    const logins = times(unanswered).map(async (i) => {
      const body = { email: `stranger.${i}@example.com`, password: 'not the password' }
      const answer = await stack.call('POST', '/v1/auth/login', {
        body,
        headers: from(`10.9.${i >> 8}.${i & 255}`),
      })
      unanswered--
      return answer
    })
    await Promise.race(logins)
    bodyOf(await stack.call('GET', '/v1/auth/whoami', { token }))
    expect(unanswered).toBeGreaterThan(0)
    const busy = (await Promise.all(logins)).filter(({ status }) => status !== 401)
    for (const answer of busy) {
      expectError(answer, 'unavailable', {
        message: 'Too many passwords are being checked right now; try again shortly',
        retry_after: 1,
      })
      expect(answer.headers['retry-after']).toBe('1')
    }
    expect(busy.length).toBeGreaterThan(0)
  })
})

describe('uploads that do not end', () => {
  const allocated = async () => Number(JSON.parse(await stack.gateway.admin('/memory')).allocated)

  it('of strangers hold nothing, and keep nobody from the API', async () => {
    const before = await allocated()
    const closed = ['/v1/tunnels', '/v1/auth/login'].flatMap((path) => {
      const session = connect(stack.gateway.url)
      return times(100).map(async () => {
        const stream = session.request(
          { ':method': 'POST', ':path': path, 'content-type': 'application/json', ...from(newAddress()) },
          { endStream: false },
        )
        stream.write(Buffer.alloc(9 * 1024, 'a'))
        const [{ ':status': status }] = (await once(stream, 'response')) as [Record<string, number>]
        session.unref()
        return status
      })
    })
    const statuses = new Set(await Promise.all(closed))
    // 503: of a hundred sign-ins at once more may wait for their turn at auth than there is room for.
    expect([...statuses].filter((status) => ![401, 413, 429, 503].includes(status ?? 0))).toEqual([])
    expect((await allocated()) - before).toBeLessThan(16 * 1024 * 1024)
    expect(
      (await stack.call('GET', '/v1/auth/whoami', { token: root.token, headers: from(newAddress()) })).status,
    ).toBe(200)
  })
})
