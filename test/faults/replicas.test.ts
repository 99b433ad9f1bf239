import { rm } from 'node:fs/promises'
import { status } from '@grpc/grpc-js'
import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import type { TestAgent } from '@instatunnel/test/agent'
import { askAuth } from '@instatunnel/test/direct'
import { expectError, expectUnavailable } from '@instatunnel/test/errors'
import { makeTunnel } from '@instatunnel/test/open-tunnel'
import { type Answer, patiently } from '@instatunnel/test/rest-client'
import { administrate } from '@instatunnel/test/sql'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import type { Told } from '@instatunnel/test/visitor'
import { clockEnvironment } from '@instatunnel/test/wrong-clock'
import type { Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Two replicas of each service behind Envoy: races over both, and the loss of one. */

let stack: TestStack
let accounts: Accounts
let sql: Sql
const { env, clocks, setAhead } = clockEnvironment()

beforeAll(async () => {
  stack = await startTestStack({
    settings: { INSTATUNNEL_REPLICAS: '2' },
    env: { auth: env, keys: env, tunnels: env, relay: env },
  })
  accounts = accountsOf(stack.call)
  sql = administrate(stack)
})
afterAll(async () => {
  await sql.end()
  await stack.stop()
  await rm(clocks, { recursive: true })
})

const atOnce = <T>(count: number, act: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)))

const split = (answers: readonly Answer[]) => ({
  done: answers.filter(({ status }) => status === 200),
  others: answers.filter(({ status }) => status !== 200),
})

describe('a replica whose clock is wrong', () => {
  /** The statuses of calls, one after another, until thirty in a row were answered 200. */
  async function untilAllIsWell(call: () => Promise<Answer>): Promise<Set<number>> {
    const statuses = new Set<number>()
    const until = performance.now() + 15_000
    for (let well = 0; well < 30; ) {
      const { status } = await call()
      statuses.add(status)
      well = status === 200 ? well + 1 : 0
      if (performance.now() > until) throw new Error(`not well: ${[...statuses]}`)
    }
    return statuses
  }
  /** The second replica of a service: set ahead, and until it says that it is not ready. */
  async function setWrong(name: 'auth' | 'keys' | 'tunnels' | 'relay', ms: number) {
    const replica = stack.services.filter((one) => one.name === name)[1]?.process()
    if (!replica) throw new Error(`${name} has no second replica`)
    setAhead(replica.pid, ms)
    const said = () => replica.lines().filter((line) => line.includes('the clock '))
    return {
      noticed: () => expect.poll(() => said().at(-1), { timeout: 10_000 }).toContain('not ready'),
      right: async () => {
        setAhead(replica.pid, 0)
        await expect.poll(() => said().at(-1), { timeout: 10_000 }).toContain('agrees')
      },
    }
  }

  it.each([
    ['keys', '/v1/auth/keys', 120_000],
    ['tunnels', '/v1/tunnels', -120_000],
  ] as const)('of %s refuses no caller as one that is unknown, and is passed by', async (name, path, ms) => {
    const { token } = await accounts.register()
    const clock = await setWrong(name, ms)
    const statuses = await untilAllIsWell(() => stack.call('GET', path, { token }))
    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([])
    await clock.noticed()
    await clock.right()
    await untilAllIsWell(() => stack.call('GET', path, { token }))
  })

  it('of auth, by 80 days, destroys no signing key, ends no session, and has none forgotten', async () => {
    const { token, apiKey } = await accounts.register()
    const kids = () => sql`select kid from auth.signing_keys order by kid`
    const before = await kids()
    const clock = await setWrong('auth', 80 * 86_400_000)
    await clock.noticed()
    const whoami = (credential: string) => () => stack.call('GET', '/v1/auth/whoami', { token: credential })
    for (const credential of [token, apiKey]) await untilAllIsWell(whoami(credential))
    expect(await kids()).toEqual(before)
    await clock.right()
    for (const credential of [token, apiKey]) await untilAllIsWell(whoami(credential))
  })

  it('of relay, by ten minutes, takes no tunnel off the others, and sends no agent away', async () => {
    const owner = await accounts.register()
    const { key } = await accounts.key(owner.token, { expires_in: 300 })
    const tunnels = await atOnce(3, () => makeTunnel(stack, accounts, owner))
    const agents = await atOnce(3, (i) => tunnels[i]?.connect({ credential: key }) as Promise<TestAgent>)
    const clock = await setWrong('relay', 600_000)
    await clock.noticed()
    await clock.right()
    // A relay that says nothing for 6 s is taken for dead.
    const until = performance.now() + 8000
    const visit = (nth: number) => tunnels[nth % 3]?.visitor.get('/hello') as Promise<Told>
    await expect.poll(async () => (await visit(0)).status, { timeout: 10_000 }).toBe(200)
    const statuses = new Set<number>()
    for (let nth = 0; performance.now() < until; nth++) statuses.add((await visit(nth)).status)
    expect([...statuses]).toEqual([200])
    for (const { events, ended } of agents) {
      expect(events.map(({ kind }) => kind)).not.toContain('retrying')
      expect(await Promise.race([ended, 'lives'])).toBe('lives')
    }
    for (const tunnel of tunnels) {
      const { status } = bodyOf(await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token: owner.token }))
      expect(status).toBe('active')
      await tunnel.close()
    }
  })
})

describe('at once, over both replicas', () => {
  it('50 creates on the free plan give exactly its 3 tunnels', async () => {
    const { apiKey: token } = await accounts.register()
    const { done, others } = split(
      await atOnce(50, (i) =>
        stack.call('POST', '/v1/tunnels', { token, body: { name: `Tunnel ${i}`, local_port: 3000 } }),
      ),
    )
    expect(done).toHaveLength(3)
    expect(others).toHaveLength(47)
    for (const answer of others) {
      expectError(answer, 'plan_limit', {
        message: 'The free plan allows 3 tunnels at a time; delete one first, or move to a larger plan',
      })
    }
    const { tunnels } = bodyOf(await stack.call('GET', '/v1/tunnels', { token }))
    expect(tunnels.map(({ id }: { id: string }) => id).sort()).toEqual(
      done.map(({ body }) => body.tunnel.id).sort(),
    )
    expect(bodyOf(await stack.call('GET', '/v1/auth/user', { token }))).toMatchObject({
      tunnels_count: 3,
      usage: { tunnels_created: 3 },
    })
  })

  it('50 users who want one subdomain leave it with exactly one of them', async () => {
    const users = await atOnce(50, () => accounts.register())
    const body = { name: 'Mine', subdomain: 'wanted-by-all', local_port: 3000 }
    const answers = await atOnce(50, (i) =>
      stack.call('POST', '/v1/tunnels', { token: users[i]?.apiKey, body }),
    )
    const { done, others } = split(answers)
    expect(done).toHaveLength(1)
    for (const answer of others) {
      expectError(answer, 'subdomain_taken', {
        message: 'The subdomain "wanted-by-all" is already in use; choose another',
      })
    }
    const lists = await atOnce(50, (i) => stack.call('GET', '/v1/tunnels', { token: users[i]?.token }))
    const owners = lists.flatMap(({ body }, i) => (body.tunnels.length > 0 ? [users[i]?.id] : []))
    expect(owners).toEqual([done[0]?.body.tunnel.user_id])
  })

  it('20 registrations of one e-mail, in whatever case, make one account', async () => {
    const answers = await atOnce(20, (i) =>
      patiently(() =>
        stack.call('POST', '/v1/auth/register', {
          body: { email: i % 2 ? 'one@example.com' : 'ONE@Example.com', password: 'correct horse battery' },
        }),
      ),
    )
    const { done, others } = split(answers)
    expect(done).toHaveLength(1)
    for (const answer of others) {
      expectError(answer, 'conflict', {
        message: 'There is an account with this e-mail; log in instead',
        fields: [{ field: 'email', message: 'has an account' }],
      })
    }
  })

  it('20 deletions of one tunnel succeed once', async () => {
    const { apiKey: token } = await accounts.register()
    const { id } = await accounts.tunnel(token)
    const { done, others } = split(
      await atOnce(20, () => stack.call('DELETE', `/v1/tunnels/${id}`, { token })),
    )
    expect(done).toHaveLength(1)
    for (const answer of others) expectError(answer, 'not_found', { message: 'Tunnel not found' })
  })

  it('two admins who demote one another leave one, round after round', async () => {
    const [one, other] = await atOnce(2, () => accounts.register())
    if (!one || !other) throw new Error('there are two')
    const demote = (by: string, id: string) =>
      stack.call('PATCH', `/v1/admin/users/${id}`, { token: by, body: { role: 'user' } })
    for (let round = 0; round < 10; round++) {
      await sql`update auth.users set role = 'admin' where id in (${one.id}, ${other.id})`
      const answers = await Promise.all([demote(one.token, other.id), demote(other.token, one.id)])
      const { done, others } = split(answers)
      expect(done).toHaveLength(1)
      // Too late either for being an admin or for not being the last one.
      for (const { status, text } of others) expect([403, 409], text).toContain(status)
      expect(await sql`select id from auth.users where role = 'admin'`).toHaveLength(1)
    }
  })
})

describe('with one replica less', () => {
  it.each([
    ['tunnels', '/v1/tunnels'],
    ['keys', '/v1/auth/keys'],
    ['auth', '/v1/auth/whoami'],
  ] as const)('calls go on: %s that is killed costs a few', async (name, path) => {
    const { apiKey: token } = await accounts.register()
    const calling = keepCalling(4, () => stack.call('GET', path, { token }))
    await calling.answered(20)
    await stack.service(name).kill()
    await calling.answered(200)
    const calls = await calling.stop()
    await stack.service(name).start()
    await stack.gateway.healthy()
    const failed = calls.filter(({ status }) => status !== 200)
    for (const answer of failed) expectUnavailable(answer)
    // Those that it was serving, and those from which Envoy learns that it is gone.
    expect(failed.length).toBeLessThanOrEqual(calling.callers * 3)
  })

  it('a replica that is asked to stop costs no call: it finishes what it has, and gets no more', async () => {
    const { apiKey: token } = await accounts.register()
    const calling = keepCalling(4, () => stack.call('GET', '/v1/tunnels', { token }))
    await calling.answered(20)
    await stack.service('tunnels').stop()
    await calling.answered(100)
    const calls = await calling.stop()
    await stack.service('tunnels').start()
    await stack.gateway.healthy()
    expect(calls.filter(({ status }) => status !== 200)).toEqual([])
  })
})

describe('what one replica did, the other knows at once', () => {
  it('a session that ended, and its key', async () => {
    const { token, apiKey } = await accounts.register()
    const replicas = [askAuth(stack, 0), askAuth(stack, 1)]
    const method = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
    const askAll = () =>
      Promise.allSettled(
        replicas.flatMap(({ rpcs }) =>
          [token, apiKey].map((bearer) => rpcs.authenticate({ bearer, method })),
        ),
      )
    expect((await askAll()).map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'))
    bodyOf(await stack.call('POST', '/v1/auth/logout', { token }))
    for (const answer of await askAll()) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: status.UNAUTHENTICATED } })
    }
    for (const { close } of replicas) close()
  })

  it('a key that was disabled, enabled and deleted', async () => {
    const { token } = await accounts.register()
    const { id, key } = await accounts.key(token)
    const everywhere = async () => {
      const answers = await atOnce(8, () => stack.call('GET', '/v1/tunnels', { token: key }))
      return [...new Set(answers.map((answer) => answer.status))]
    }
    const enable = (enabled: boolean) =>
      stack.call('PATCH', `/v1/auth/keys/${id}`, { token, body: { enabled } })
    expect(await everywhere()).toEqual([200])
    bodyOf(await enable(false))
    expect(await everywhere()).toEqual([401])
    bodyOf(await enable(true))
    expect(await everywhere()).toEqual([200])
    bodyOf(await stack.call('DELETE', `/v1/auth/keys/${id}`, { token }))
    expect(await everywhere()).toEqual([401])
  })
})

/** Calls again and again, so many at a time, and remembers each answer. */
function keepCalling(callers: number, call: () => Promise<Answer>) {
  const calls: Answer[] = []
  const heard = new Set<() => void>()
  let going = true
  const all = atOnce(callers, async () => {
    while (going) {
      calls.push(await call())
      for (const look of heard) look()
    }
  })
  return {
    callers,
    /** Resolves when so many more have been answered. */
    answered: (more: number) =>
      new Promise<void>((resolve) => {
        const enough = calls.length + more
        const look = () => {
          if (calls.length < enough) return
          heard.delete(look)
          resolve()
        }
        heard.add(look)
      }),
    async stop() {
      going = false
      await all
      return calls
    },
  }
}
