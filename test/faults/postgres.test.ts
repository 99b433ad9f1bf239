import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { askAuth, direct } from '@instatunnel/test/direct'
import { expectNeighbourAway, expectNothingOfTheInside, expectUnavailable } from '@instatunnel/test/errors'
import type { Observer } from '@instatunnel/test/observer'
import { refused } from '@instatunnel/test/refused'
import { administrate } from '@instatunnel/test/sql'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Postgres stopped, and killed amid writes: what was answered with 200 is there, and so is its event. */

let stack: TestStack
let accounts: Accounts
let observer: Observer
let pids: number[]

const servicePids = () => stack.services.map((service) => service.process().pid)

beforeAll(async () => {
  stack = await startTestStack({ durable: true })
  accounts = accountsOf(stack.call)
  observer = await stack.observe()
  pids = servicePids()
})
afterAll(() => stack.stop())

/** Asks the database as its administrator, over a connection of its own. */
async function query<T>(ask: (sql: ReturnType<typeof administrate>) => Promise<T>): Promise<T> {
  const sql = administrate(stack)
  try {
    return await ask(sql)
  } finally {
    await sql.end()
  }
}

/** That the whole platform serves this user again, with no service started anew. */
async function expectRecovery(user: Account) {
  const all = async () => {
    const answers = await Promise.all([
      stack.call('POST', '/v1/auth/login', { body: { email: user.email, password: user.password } }),
      stack.call('GET', '/v1/auth/user', { token: user.apiKey }),
      stack.call('GET', '/v1/auth/keys', { token: user.apiKey }),
      stack.call('GET', '/v1/tunnels', { token: user.token }),
    ])
    return answers.map(({ status }) => status)
  }
  await expect.poll(all, { timeout: 10_000 }).toEqual([200, 200, 200, 200])
  expect(servicePids()).toEqual(pids)
}

describe('while Postgres is away', () => {
  const newcomer = { email: 'newcomer@example.com', password: 'correct horse battery' }
  let user: Account
  // biome-ignore lint/suspicious/noExplicitAny: a tunnel as it was answered
  let mine: any
  let inside: { 'x-instatunnel-identity': string }
  let counts: unknown

  const rows = () =>
    query(
      (sql) => sql`
        select (select count(*) from auth.users) as users, (select count(*) from keys.api_keys) as keys,
          (select count(*) from tunnels.tunnels) as tunnels, (select sum(tunnels_created) from tunnels.usage) as made`,
    )

  beforeAll(async () => {
    user = await accounts.register()
    mine = await accounts.tunnel(user.apiKey)
    const auth = askAuth(stack)
    const method = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
    inside = {
      'x-instatunnel-identity': (await auth.rpcs.authenticate({ bearer: user.token, method })).identity,
    }
    auth.close()
    // Both have seen this identity before, so that nothing but the database is missing.
    await withService('tunnels', TunnelServiceService, (tunnels) => tunnels.listTunnels())
    await withService('keys', ApiKeyServiceService, (keys) => keys.listKeys())
    counts = await rows()
    await stack.postgres.stop()
  })

  async function withService<D extends Record<string, object>, T>(
    name: 'keys' | 'tunnels',
    definition: D,
    act: (rpcs: ReturnType<typeof direct<D>>['rpcs']) => Promise<T>,
  ) {
    const { rpcs, close } = direct(stack.service(name).address, definition, inside)
    return act(rpcs).finally(close)
  }

  // 503, not 504: none of them waits until it is given up.
  it('reads and writes are 503, and nobody passes unchecked', async () => {
    for (const token of [user.token, user.apiKey]) {
      expectUnavailable(await stack.call('GET', '/v1/tunnels', { token }))
      expectUnavailable(
        await stack.call('POST', '/v1/tunnels', { token, body: { name: 'A', local_port: 1 } }),
      )
      expectUnavailable(await stack.call('POST', '/v1/auth/keys', { token, body: { name: 'A' } }))
      expectUnavailable(await stack.call('DELETE', `/v1/tunnels/${mine.id}`, { token }))
      expectUnavailable(await stack.call('POST', '/v1/auth/logout', { token }))
    }
    expectNeighbourAway(
      await stack.call('POST', '/v1/auth/login', { body: { email: user.email, password: user.password } }),
    )
    expectNeighbourAway(await stack.call('POST', '/v1/auth/register', { body: newcomer }))
  })

  it('so they are inside, for one whose identity is known', async () => {
    const away = { code: 'UNAVAILABLE', reason: 'UNAVAILABLE', http: 503 }
    await withService('tunnels', TunnelServiceService, async (tunnels) => {
      expect(await refused(tunnels.listTunnels())).toMatchObject(away)
      expect(await refused(tunnels.createTunnel({ name: 'A', localPort: 1 }))).toMatchObject(away)
      expect(await refused(tunnels.updateTunnel({ id: mine.id, name: 'B' }))).toMatchObject(away)
      expect(await refused(tunnels.deleteTunnel({ id: mine.id }))).toMatchObject(away)
      expect(await refused(tunnels.regenerateToken({ id: mine.id }))).toMatchObject(away)
    })
    await withService('keys', ApiKeyServiceService, async (keys) => {
      expect(await refused(keys.listKeys())).toMatchObject(away)
      expect(await refused(keys.createKey({ name: 'A' }))).toMatchObject(away)
    })
  })

  it('it recovers by itself: what was accepted is there, what was refused was not half done', async () => {
    await stack.postgres.start()
    expect(await rows()).toEqual(counts)
    await expectRecovery(user)
    expect(bodyOf(await stack.call('GET', '/v1/tunnels', { token: user.token })).tunnels).toEqual([mine])
    await accounts.register(newcomer.email)
  })
})

describe('while a table is locked for long', () => {
  it('its calls are 503 within seconds, those beyond the pool within one, and the other services go on', async () => {
    const user = await accounts.register()
    const sql = administrate(stack)
    const list = async () => {
      const began = performance.now()
      const answer = await stack.call('GET', '/v1/tunnels', { token: user.token })
      return { answer, tookMs: performance.now() - began }
    }
    await sql.begin(async (tx) => {
      await tx`lock table tunnels.tunnels in access exclusive mode`
      const answers = await Promise.all(Array.from({ length: 30 }, list))
      for (const { answer } of answers) expectNeighbourAway(answer)
      // Ten of them have a connection each, and wait for the lock; on a busy machine a second is 800 ms and some more.
      expect(answers.filter(({ tookMs }) => tookMs < 2500).length).toBeGreaterThanOrEqual(20)
      bodyOf(await stack.call('GET', '/v1/auth/keys', { token: user.token }))
    })
    await sql.end()
    await expectRecovery(user)
  })
})

describe('killed amid 200 writes', () => {
  it('Postgres has every write that was answered with 200, each has told its event, and the rest is not half done', async () => {
    const user = await accounts.register()
    await query((sql) => sql`update auth.users set plan = 'business' where id = ${user.id}`)

    let answered = 0
    let killed: Promise<void> | undefined
    const write = async (path: string, body: object) => {
      const answer = await stack.call('POST', path, { token: user.token, body })
      if (++answered === 40) killed = stack.postgres.kill().then(() => stack.postgres.start())
      return answer
    }
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        i % 2
          ? write('/v1/tunnels', { name: `Tunnel ${i}`, local_port: 3000 })
          : write('/v1/auth/keys', { name: `Key ${i}` }),
      ),
    )
    await killed
    await expectRecovery(user)

    const done = answers.filter(({ status }) => status === 200)
    const others = answers.filter(({ status }) => status !== 200)
    // Or it was killed too early, or too late, to show anything.
    expect(done.length).toBeGreaterThan(0)
    expect(others.length).toBeGreaterThan(0)
    for (const answer of others) {
      expect(answer.body).toMatchObject({ error: 'unavailable', code: 5003 })
      expectNothingOfTheInside(answer)
    }

    const made = await query(
      (sql) => sql<{ id: string }[]>`
        select id from tunnels.tunnels where user_id = ${user.id}
        union all select id from keys.api_keys where user_id = ${user.id} and session_id is null`,
    )
    const ids = made.map(({ id }) => id).sort()
    const promised = done.map(({ body }) => body.tunnel?.id ?? body.api_key.id)
    expect(ids).toEqual(expect.arrayContaining(promised))

    // The last to be told: when it is seen, all before it were.
    for (const id of ids)
      await observer.event(({ type, headers }) => type.endsWith('created') && headers['ce-subject'] === id)
    const told = observer.events.filter(
      ({ type, data }) =>
        data.user_id === user.id &&
        (type === 'instatunnel.events.tunnel.created' ||
          (type === 'instatunnel.events.key.created' && data.session_id === undefined)),
    )
    expect(told.map(({ headers }) => headers['ce-subject']).sort()).toEqual(ids)

    const { usage, tunnels_count } = bodyOf(await stack.call('GET', '/v1/auth/user', { token: user.token }))
    expect(tunnels_count).toBe(ids.filter((id) => id.startsWith('tun_')).length)
    expect(usage.tunnels_created).toBe(tunnels_count)
  })

  it('who listens to events goes on as well: a use of a key is still counted', async () => {
    const user = await accounts.register()
    const { id, key } = await accounts.key(user.token)
    bodyOf(await stack.call('GET', '/v1/tunnels', { token: key }))
    const count = async () =>
      bodyOf(await stack.call('GET', `/v1/auth/keys/${id}`, { token: user.token })).request_count
    await expect.poll(count, { timeout: 10_000 }).toBe(1)
  })
})
