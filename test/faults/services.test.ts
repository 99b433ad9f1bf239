import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { askAuth, direct } from '@instatunnel/test/direct'
import {
  aField,
  expectError,
  expectNeighbourAway,
  expectUnauthorized,
  expectUnavailable,
} from '@instatunnel/test/errors'
import type { Observer } from '@instatunnel/test/observer'
import { refused } from '@instatunnel/test/refused'
import { administrate } from '@instatunnel/test/sql'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** One service away: which calls answer 503, which go on, and that all is well by itself once it is back. */

let stack: TestStack
let accounts: Accounts
let observer: Observer

beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
  observer = await stack.observe()
})
afterAll(() => stack.stop())

const get = (path: string, token: string) => stack.call('GET', path, { token })
const post = (path: string, token: string, body: object = {}) => stack.call('POST', path, { token, body })
const login = ({ email, password }: Account) =>
  stack.call('POST', '/v1/auth/login', { body: { email, password } })
const health = () => stack.call('GET', '/healthz')
const tunnel = { name: 'Tunnel', local_port: 3000 }

/** A service that goes away after `before`, which gives the tests what they need, and is back with `end`. */
function outage<T>(name: 'auth' | 'keys' | 'tunnels', how: 'stop' | 'kill', before: () => Promise<T>) {
  let known: T
  let others: number[]
  let over: Promise<void> | undefined
  const pids = () => stack.services.filter((one) => one.name !== name).map((one) => one.process().pid)
  const end = () => {
    over ??= stack.service(name).start()
    return over
  }
  beforeAll(async () => {
    known = await before()
    others = pids()
    await stack.service(name)[how]()
  })
  afterAll(end)
  return {
    known: () => known,
    /** Starts it again, and sees that the whole platform serves this user without a further hand. */
    async end(user: Account) {
      if (how === 'stop') {
        await expect.poll(async () => (await health()).status, { timeout: 5000 }).toBe(503)
        expectUnavailable(await health())
      }
      await end()
      await stack.gateway.healthy()
      const all = async () => {
        const answers = await Promise.all([
          login(user),
          get('/v1/auth/user', user.apiKey),
          get('/v1/auth/keys', user.apiKey),
          get('/v1/tunnels', user.token),
        ])
        return answers.map(({ status }) => status)
      }
      await expect.poll(all, { timeout: 5000 }).toEqual([200, 200, 200, 200])
      expect(pids()).toEqual(others)
    },
  }
}

describe.each(['stop', 'kill'] as const)('while tunnels is away (%s)', (how) => {
  const { known, end } = outage('tunnels', how, async () => {
    const user = await accounts.register()
    return { user, mine: await accounts.tunnel(user.apiKey) }
  })

  it('its own calls are 503', async () => {
    const { user, mine } = known()
    expectUnavailable(await get('/v1/tunnels', user.token))
    expectUnavailable(await get(`/v1/tunnels/${mine.id}`, user.apiKey))
    expectUnavailable(await post('/v1/tunnels', user.token, tunnel))
    expectUnavailable(await stack.call('DELETE', `/v1/tunnels/${mine.id}`, { token: user.token }))
    // Only tunnels knows whether a tunnel's token is one.
    expectUnavailable(await get('/v1/auth/whoami', mine.token))
  })

  it('so is the profile, which needs what tunnels counts', async () => {
    expectNeighbourAway(await get('/v1/auth/user', known().user.token))
    expectNeighbourAway(await get('/v1/user/profile', known().user.apiKey))
  })

  it('accounts and keys go on', async () => {
    const { user } = known()
    bodyOf(await login(user))
    bodyOf(await get('/v1/auth/whoami', user.apiKey))
    bodyOf(await get('/v1/auth/sessions', user.token))
    bodyOf(await post('/v1/auth/keys', user.token, { name: 'Made meanwhile' }))
  })

  it('it recovers by itself, and nothing was lost or half done', async () => {
    const { user, mine } = known()
    await end(user)
    expect(bodyOf(await get('/v1/tunnels', user.token)).tunnels).toEqual([mine])
  })
})

describe.each(['stop', 'kill'] as const)('while keys is away (%s)', (how) => {
  const { known, end } = outage('keys', how, async () => {
    const user = await accounts.register()
    const used = await accounts.key(user.token)
    for (let i = 0; i < 3; i++) bodyOf(await get('/v1/tunnels', used.key))
    return { user, used, other: await accounts.login(user) }
  })
  const newcomer = { email: `kept.${how}@example.com`, password: 'correct horse battery' }

  it('its own calls, and calls with a key, are 503', async () => {
    const { user } = known()
    expectUnavailable(await get('/v1/auth/keys', user.token))
    expectUnavailable(await post('/v1/auth/keys', user.token, { name: 'Key' }))
    expectUnavailable(await post('/v1/auth/keys/verify', user.token, { key: user.apiKey }))
    expectUnavailable(await get('/v1/tunnels', user.apiKey))
    expectUnavailable(await get('/v1/auth/whoami', user.apiKey))
  })

  it('calls with a session go on', async () => {
    const { user } = known()
    bodyOf(await get('/v1/auth/user', user.token))
    bodyOf(await post('/v1/tunnels', user.token, tunnel))
    expectUnauthorized(await get('/v1/tunnels', 'eyJ.no.session'))
  })

  it('a login answers 503 and leaves no live session', async () => {
    const { user } = known()
    const sessions = async () => bodyOf(await get('/v1/auth/sessions', user.token)).sessions
    const before = await sessions()
    expectNeighbourAway(await login(user), 'You could not be logged in right now; try again shortly')
    expect(await sessions()).toEqual(before)
    const { data } = await observer.event(
      ({ data }) => data.user_id === user.id && data.reason === 'key_failed',
    )
    expect(before.map(({ id }: { id: string }) => id)).not.toContain(data.session_id)
  })

  it('a registration answers 503, and the account is made', async () => {
    expectNeighbourAway(
      await stack.call('POST', '/v1/auth/register', { body: newcomer }),
      'Your account was made, but you could not be logged in; log in with the same e-mail and password',
    )
    await observer.event(({ data }) => data.email === newcomer.email)
  })

  it('a logout is accepted', async () => {
    const { other } = known()
    bodyOf(await post('/v1/auth/logout', other.token))
    expectUnauthorized(await get('/v1/tunnels', other.token))
  })

  it('it recovers by itself, and makes up for what happened meanwhile', async () => {
    const { user, used, other } = known()
    await end(user)
    // What keys were used for just before is counted, once.
    const count = async () => bodyOf(await get(`/v1/auth/keys/${used.id}`, user.token)).request_count
    await expect.poll(count, { timeout: 10_000 }).toBe(3)
    // Who registered logs in.
    const { token } = bodyOf(await stack.call('POST', '/v1/auth/login', { body: newcomer }))
    expect(bodyOf(await get('/v1/auth/sessions', token)).sessions).toHaveLength(1)
    // The key of the session that ended is refused, and no longer listed.
    expectUnauthorized(await get('/v1/tunnels', other.apiKey))
    const masks = async () =>
      bodyOf(await get('/v1/auth/keys', user.token)).keys.map(({ key }: { key: string }) => key)
    await expect.poll(masks, { timeout: 5000 }).not.toContain(`it_***...${other.apiKey.slice(-3)}`)
  })
})

describe.each(['stop', 'kill'] as const)('while auth is away (%s)', (how) => {
  const { known, end } = outage('auth', how, async () => {
    const user = await accounts.register()
    const auth = askAuth(stack)
    const method = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
    const { identity } = await auth.rpcs.authenticate({ bearer: user.token, method })
    auth.close()
    const { address } = stack.service('tunnels')
    const asKnown = direct(address, TunnelServiceService, { 'x-instatunnel-identity': identity })
    await asKnown.rpcs.listTunnels()
    const asBearer = direct(address, TunnelServiceService, { authorization: `Bearer ${user.token}` })
    return { user, asKnown, asBearer }
  })

  it('nobody passes unchecked', async () => {
    const { user } = known()
    for (const token of [user.token, user.apiKey, 'it_0000000000000000']) {
      expectUnavailable(await get('/v1/tunnels', token))
      expectUnavailable(await post('/v1/tunnels', token, tunnel))
      expectUnavailable(await get('/v1/auth/keys', token))
      expectUnavailable(await get('/v1/auth/user', token))
    }
    expectUnavailable(await stack.call('GET', '/v1/tunnels'))
    expectUnavailable(await login(user))
    expectUnavailable(
      await stack.call('POST', '/v1/auth/register', {
        body: { email: 'a@example.com', password: 'long enough' },
      }),
    )
  })

  it('what needs no decision is answered as ever', async () => {
    expectError(
      await stack.call('GET', '/v1//tunnels'),
      'validation_error',
      aField('path', 'must not hold empty or dot segments, backslashes or encoded separators'),
    )
  })

  it('inside, an identity that auth gave before is good on, and a bearer is UNAVAILABLE', async () => {
    const { asKnown, asBearer } = known()
    await asKnown.rpcs.createTunnel({ name: 'Made meanwhile', localPort: 3000 })
    expect(await refused(asBearer.rpcs.listTunnels())).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'UNAVAILABLE',
      http: 503,
    })
  })

  it('it recovers by itself', async () => {
    const { user, asKnown, asBearer } = known()
    await end(user)
    const names = async () => (await asBearer.rpcs.listTunnels()).tunnels.map(({ name }) => name)
    await expect.poll(names, { timeout: 5000 }).toEqual(['Made meanwhile'])
    asKnown.close()
    asBearer.close()
  })
})

describe('while tunnels and keys hang', () => {
  it('nobody waits for long, and all is well once they go on', async () => {
    const user = await accounts.register()
    const hanging = (['tunnels', 'keys'] as const).map((name) => stack.service(name).process().pid)
    for (const pid of hanging) process.kill(pid, 'SIGSTOP')
    try {
      const [own, profile, other, again] = await Promise.all([
        get('/v1/tunnels', user.token),
        get('/v1/auth/user', user.token),
        get('/v1/auth/whoami', user.token),
        login(user),
      ])
      expectUnavailable(own)
      expectError(profile, 'timeout', { message: 'The service did not answer in time; try again.' })
      expect(other.status).toBe(200)
      expectNeighbourAway(again, 'You could not be logged in right now; try again shortly')
      // By now the health checks know: asked, it would be a timeout.
      expectUnavailable(await get('/v1/tunnels', user.token))
    } finally {
      for (const pid of hanging) process.kill(pid, 'SIGCONT')
    }
    const all = () =>
      Promise.all(['/v1/tunnels', '/v1/auth/user', '/v1/auth/keys'].map((path) => get(path, user.token)))
    await expect
      .poll(async () => (await all()).map(({ status }) => status), { timeout: 10_000 })
      .toEqual([200, 200, 200])
    // The login that was given up has left neither a session nor, late, a key.
    const { id } = await observer.event(
      ({ data }) => data.user_id === user.id && data.reason === 'key_failed',
    )
    const sql = administrate(stack)
    const heard = () => sql`select 1 from keys.inbox where event_id = ${id}`.then((rows) => rows.length)
    await expect.poll(heard, { timeout: 10_000 }).toBe(1)
    await sql.end()
    expect(bodyOf(await get('/v1/auth/keys', user.token)).keys).toHaveLength(1)
    expect(bodyOf(await get('/v1/auth/sessions', user.token)).sessions).toHaveLength(1)
  })
})

describe('while the gateway is away', () => {
  it('nothing is answered; killed and started again, it serves on the same port', async () => {
    const user = await accounts.register()
    await stack.gateway.kill()
    await expect(get('/v1/tunnels', user.token)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await stack.gateway.start()
    await stack.gateway.healthy()
    bodyOf(await get('/v1/tunnels', user.apiKey))
  })
})
