import { once } from 'node:events'
import { Agent } from 'node:http'
import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import type { TestAgent } from '@instatunnel/test/agent'
import { failures } from '@instatunnel/test/failures'
import { pour, take } from '@instatunnel/test/flow'
import { atOnce, underLoad } from '@instatunnel/test/load'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered, told, type Visitor, visitorOf } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** Two relays: whichever a visitor comes to, whichever goes, the site is there. */

let stack: TestStack
let accounts: Accounts
let open: OpenTunnel
beforeAll(async () => {
  stack = await startTestStack({ settings: { INSTATUNNEL_REPLICAS: '2' } })
  accounts = accountsOf(stack.call)
})
beforeEach(async () => {
  open = await openTunnel(stack, accounts)
  return () => open.close()
})
afterAll(() => stack?.stop())

const MIB = 1024 * 1024
const relays = [0, 1] as const
/** A visitor whom the gateway sends to this relay. */
const at = (relay: 0 | 1): Visitor =>
  visitorOf({ gateway: { port: stack.service('relay', relay).port } }, open.subdomain)

/** An agent at each relay: the gateway sends them there in turns. */
async function agentAtEach(): Promise<TestAgent[]> {
  const observer = await stack.observe()
  const relayOf = async (agent: TestAgent) => {
    const { connectionId } = await agent.event('connected')
    const isIts = ({ subject, data }: { subject: string; data: { connection_id?: string } }) =>
      subject === 'instatunnel.events.tunnel.connected' && data.connection_id === connectionId
    return (await observer.event(isIts)).data.relay_id
  }
  const agents = new Map<string, TestAgent>([[await relayOf(open.agent), open.agent]])
  while (agents.size < 2) {
    const agent = await open.connect()
    const relay = await relayOf(agent)
    if (agents.has(relay)) await agent.leave()
    else agents.set(relay, agent)
  }
  return [...agents.values()]
}

it('a tunnel that is renamed answers under its new name at both relays at once, and is 404 under the former', async () => {
  const name = `${open.subdomain}-renamed`.slice(-63)
  const visitors = [open.subdomain, name].map((subdomain) =>
    relays.map((relay) => visitorOf({ gateway: { port: stack.service('relay', relay).port } }, subdomain)),
  )
  const [former, current] = visitors as [Visitor[], Visitor[]]
  for (const visitor of former)
    await expect.poll(async () => (await visitor.get('/hello')).status, { timeout: 10_000 }).toBe(200)
  for (const visitor of current) expect((await visitor.get('/hello')).status).toBe(404)
  const body = { subdomain: name }
  bodyOf(await stack.call('PATCH', `/v1/tunnels/${open.id}`, { token: open.owner.token, body }))
  const statuses = async (all: Visitor[]) =>
    Promise.all(
      all.flatMap((each) => Array.from({ length: 5 }, async () => (await each.get('/hello')).status)),
    )
  const [olds, news] = await Promise.all([statuses(former), statuses(current)])
  expect([olds, news]).toEqual([Array(10).fill(404), Array(10).fill(200)])
})

describe('a visitor at the relay that has no agent', () => {
  // A relay hears of an agent at the other within milliseconds; who comes sooner is told that the tunnel is offline.
  beforeEach(async () => {
    for (const relay of relays) {
      await expect.poll(async () => (await at(relay).get('/')).status, { timeout: 10_000 }).not.toBe(502)
    }
  })

  it.each(relays)('is answered all the same, at relay %i', async (relay) => {
    const visitor = at(relay)
    const answer = await visitor.get('/anything?a|b', { method: 'POST', body: 'hello' })
    expect(JSON.parse(answer.text)).toMatchObject({ method: 'POST', target: '/anything?a|b', body: 'hello' })
    expect((await visitor.get('/hints')).interim).toMatchObject([{ status: 103 }])
    expect((await visitor.get('/trailers')).trailers).toHaveLength(6)
    expect((await visitor.get('/file', { method: 'HEAD' })).header('content-length')).toBe('1000')
    await expect(visitor.get('/break')).rejects.toThrow()
  })

  it.each(relays)('gets bodies of any size, no faster than it takes them, at relay %i', async (relay) => {
    const arrival = open.site.arrival('/down')
    const asked = at(relay).ask('/down').end()
    const { response } = await arrival
    const sent = pour(response, 256 * MIB)
    const taken = take(await answered(asked))
    await taken.read(MIB)
    expect(await taken.rest()).toEqual(await sent.whole)

    const upload = at(relay).ask('/sum', { method: 'PUT' })
    const answer = told(upload)
    const { whole } = pour(upload, 64 * MIB)
    expect(JSON.parse((await answer).text)).toEqual(await whole)
  })

  it.each(relays)('has a WebSocket, at relay %i', async (relay) => {
    const socket = at(relay).webSocket('/ws')
    await once(socket, 'open')
    const echo = once(socket, 'message')
    socket.send('hello')
    expect(String((await echo)[0])).toBe('hello')
    const closed = once(socket, 'close')
    socket.close(4001, 'enough')
    expect((await closed)[0]).toBe(4001)
  })

  it('goes away, and the local server knows within a second', async () => {
    for (const relay of relays) {
      const arrival = open.site.arrival('/wait')
      const asked = at(relay).ask('/wait').end()
      asked.on('error', () => {})
      const { response } = await arrival
      const closed = once(response, 'close')
      const since = performance.now()
      asked.destroy()
      await closed
      expect(performance.now() - since).toBeLessThan(1000)
    }
  })
})

describe('what holds at one relay holds at both', () => {
  it('agents at both share the requests, at the relay that they come to', async () => {
    await agentAtEach()
    const answers = await atOnce(100, (index) => at(relays[index % 2] ?? 0).get('/hello'))
    expect(failures(answers)).toEqual([])
  })

  it('a regenerated token cuts agents at both, and tells of both', async () => {
    const { id, token } = open
    const [one, other] = await Promise.all([
      open.connect({ credential: token }),
      open.connect({ credential: token }),
    ])
    const path = `/v1/tunnels/${id}/regenerate-token`
    const answer = bodyOf(await stack.call('POST', path, { token: open.owner.token }))
    expect(answer.connections_cut).toBe(2)
    const since = performance.now()
    for (const agent of [one, other]) expect(await agent.ended).toMatchObject({ reason: 'token_regenerated' })
    expect(performance.now() - since).toBeLessThan(1000)
  })

  it('routes are known at both while NATS is away, for longer than a relay may be silent', async () => {
    const load = underLoad(4, () => at(Math.random() < 0.5 ? 0 : 1).get('/hello'))
    await load.answered(20)
    await stack.nats.kill()
    const awayUntil = performance.now() + 8000
    while (performance.now() < awayUntil) await load.answered(10)
    await stack.nats.start()
    await load.answered(100)
    expect(failures(await load.stop())).toEqual([])
  })

  it('usage is the sum of both', async () => {
    await agentAtEach()
    await atOnce(100, (index) => at(relays[index % 2] ?? 0).get('/bytes?size=1000'))
    const path = `/v1/tunnels/${open.id}/stats`
    const total = async () => bodyOf(await stack.call('GET', path, { token: open.owner.token })).total
    await expect.poll(total, { timeout: 10_000 }).toMatchObject({ requests: 100, bytes_out: 100_000 })
  })
})

describe('a relay less', { timeout: 60_000 }, () => {
  const visit = (agent: Agent) => () => open.visitor.get('/bytes?size=10000', { agent })

  it('one after the other, restarted under load: every request is answered', async () => {
    const agent = new Agent({ keepAlive: true })
    const load = underLoad(8, visit(agent))
    await load.answered(100)
    for (const relay of relays) {
      await stack.service('relay', relay).restart()
      await healthy(relay)
      await load.answered(100)
    }
    expect(failures(await load.stop())).toEqual([])
    agent.destroy()
  })

  it.each(relays)(
    'killed under load, relay %i: its agents are at the other, and visitors are answered',
    async (relay) => {
      await agentAtEach()
      const agent = new Agent({ keepAlive: true })
      const load = underLoad(8, visit(agent))
      await load.answered(100)
      await stack.service('relay', relay).kill()
      await load.answered(300)
      const answers = await load.stop()
      await stack.service('relay', relay).start()
      await healthy(relay)
      agent.destroy()
      // What it was answering, and what came to it before the gateway knew that it is gone.
      expect(failures(answers).length).toBeLessThanOrEqual(16)
      expect(failures(answers.slice(-100))).toEqual([])
    },
  )

  it('killed in the middle of answers leaves none that looks whole', async () => {
    await agentAtEach()
    const bodies = await atOnce(8, async () => {
      const asked = open.visitor.ask(`/bytes?size=${256 * MIB}&chunked`).end()
      const taken = take(await answered(asked))
      await taken.read(MIB)
      return taken
    })
    await stack.service('relay', 0).kill()
    const outcomes = await Promise.all(
      bodies.map(async (taken) => {
        const sum = await taken.rest().catch(() => undefined)
        return sum?.bytes
      }),
    )
    // Those that passed the other relay alone are whole; none is less without saying so.
    for (const bytes of outcomes) expect([undefined, 256 * MIB]).toContain(bytes)
    expect(outcomes).toContain(undefined)
    await stack.service('relay', 0).start()
    await healthy(0)
  })
})

/** Resolves once the gateway sends visitors to this relay again. */
async function healthy(relay: 0 | 1): Promise<void> {
  const { address } = stack.service('relay', relay)
  await expect
    .poll(() => stack.gateway.admin('/clusters'), { timeout: 10_000 })
    .toContain(`relay::${address}::health_flags::healthy`)
}
