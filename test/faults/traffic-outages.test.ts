import { Agent } from 'node:http'
import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { failures } from '@instatunnel/test/failures'
import { type Load, underLoad } from '@instatunnel/test/load'
import { makeTunnel, type OpenTunnel, openTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { type Told, visitorOf } from '@instatunnel/test/visitor'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'

/** What the relay asks, and what it tells, is away: tunnels that are connected go on as if nothing were. */

let stack: TestStack
let accounts: Accounts
let open: OpenTunnel
let unconnected: Tunnel
let load: Load<Told>
const connections = new Agent({ keepAlive: true })
beforeAll(async () => {
  stack = await startTestStack({ durable: true })
  accounts = accountsOf(stack.call)
})
beforeEach(async () => {
  await stack.gateway.healthy()
  // Services find one another again within a second.
  const owner = await vi.waitFor(() => accounts.register(), 5000)
  open = await openTunnel(stack, accounts, owner)
  unconnected = await makeTunnel(stack, accounts, open.owner)
  load = underLoad(4, () => open.visitor.get('/bytes?size=1000', { agent: connections }))
  await load.answered(50)
})
/** All along, not one visitor noticed, and the agent had one connection. */
afterEach(async () => {
  const answers = await load.stop()
  expect(failures(answers)).toEqual([])
  expect(open.agent.events.filter(({ kind }) => kind === 'connected')).toHaveLength(1)
  await Promise.all([open.close(), unconnected.close()])
})
afterAll(async () => {
  connections.destroy()
  await stack?.stop()
})

const stats = async () =>
  bodyOf(await stack.call('GET', `/v1/tunnels/${open.id}/stats`, { token: open.owner.token })).total

describe.each(['stop', 'kill'] as const)('while NATS is away (%s)', (how) => {
  it('tunnels carry on, new agents connect, and what was counted is told later', async () => {
    await stack.nats[how]()
    await load.answered(200)
    const agent = await unconnected.connect()
    expect((await unconnected.visitor.get('/hello')).text).toBe('hello')
    await agent.leave()
    const again = await unconnected.connect()
    expect((await unconnected.visitor.get('/hello')).text).toBe('hello')
    const counted = (await load.stop()).length

    await stack.nats.start()
    await expect.poll(stats, { timeout: 15_000 }).toMatchObject({
      requests: counted,
      bytes_out: counted * 1000,
    })
    const path = `/v1/tunnels/${unconnected.id}`
    const shown = async () => bodyOf(await stack.call('GET', path, { token: open.owner.token })).status
    await expect.poll(shown, { timeout: 15_000 }).toBe('active')
    expect(again.events.filter(({ kind }) => kind === 'connected')).toHaveLength(1)
  })

  it('a name that changes hands is its new owner’s alone, as soon as theirs is connected', async () => {
    const old = await openTunnel(stack, accounts)
    expect((await old.visitor.get('/hello')).text).toBe('hello')
    await stack.nats[how]()
    bodyOf(await stack.call('DELETE', `/v1/tunnels/${old.id}`, { token: old.owner.token }))
    const next = await openTunnel(stack, accounts, undefined, { subdomain: old.subdomain })
    const before = old.site.requests
    for (let i = 0; i < 20; i++) expect((await next.visitor.get('/hello')).text).toBe('hello')
    expect(old.site.requests).toBe(before)
    expect(next.site.requests).toBe(20)
    await stack.nats.start()
    expect(await old.agent.ended).toMatchObject({ kind: expect.stringMatching(/sent_away|refused/) })
    await Promise.all([old.close(), next.close()])
  })

  it('a key that is revoked meanwhile ends what it connected soon after', { timeout: 60_000 }, async () => {
    const { id, key } = await accounts.key(open.owner.token)
    const agent = await unconnected.connect({ credential: key })
    await stack.nats[how]()
    const answer = await stack.call('DELETE', `/v1/auth/keys/${id}`, { token: open.owner.token })
    expect(bodyOf(answer).success).toBe(true)
    await stack.nats.start()
    expect(await agent.ended).toMatchObject({ kind: 'sent_away', reason: 'key_revoked' })
  })
})

describe.each(['auth', 'keys', 'tunnels'] as const)('while %s is away', { timeout: 60_000 }, (name) => {
  it.each(['stop', 'kill'] as const)('tunnels carry on; agents that come wait for it (%s)', async (how) => {
    const service = stack.service(name)
    await service[how]()
    await load.answered(200)
    const coming = unconnected.connect()
    await load.answered(100)
    await service.start()
    await coming
    expect((await unconnected.visitor.get('/hello')).text).toBe('hello')
  })
})

describe('while tunnels is away', () => {
  it('a name that the relay does not know is said to be our fault, not its owner’s', async () => {
    await stack.service('tunnels').kill()
    const answer = await visitorOf(stack, 'nobody-asked-before').get('/')
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      503,
      {
        error: 'unavailable',
        message: 'The service is not available right now; try again shortly.',
        code: 5003,
        retry_after: 1,
      },
    ])
    await stack.service('tunnels').start()
    const status = async () => (await visitorOf(stack, 'nobody-asked-before').get('/')).status
    await expect.poll(status, { timeout: 5000 }).toBe(404)
  })
})

describe.each(['stop', 'kill'] as const)('while Postgres is away (%s)', { timeout: 60_000 }, (how) => {
  it('tunnels carry on; agents that come wait for it, and what was counted is told later', async () => {
    await stack.postgres[how]()
    await load.answered(200)
    const coming = unconnected.connect()
    await load.answered(100)
    await stack.postgres.start()
    await coming
    expect((await unconnected.visitor.get('/hello')).text).toBe('hello')
    const counted = (await load.stop()).length
    await expect.poll(stats, { timeout: 15_000 }).toMatchObject({ requests: counted })
  })
})
