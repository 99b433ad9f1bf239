import { connectNats } from '@instatunnel/kit/jetstream'
import type { LinkStream } from '@instatunnel/kit/link'
import { createLog } from '@instatunnel/kit/log'
import { announceRoutes } from '@instatunnel/kit/route-announcer'
import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { startNeighbours } from '../test/neighbours.ts'
import { answerWith } from '../test/played-agent.ts'
import { newTunnel, type StartedRelay, startRelay, type Tunnel } from '../test/start-relay.ts'

const within = { timeout: 15_000 }
const nats = await freshNats({ streams: true })
const neighbours = await startNeighbours()
afterAll(() => neighbours.close())

const open = (settings: Record<string, string> = {}) => startRelay(neighbours, nats, { settings })

/** Announces an agent at a relay that has died and is not known to have. */
async function deadAgent({ id, subdomain, userId }: Tunnel, relayId: string): Promise<void> {
  const log = createLog('test', 'silent')
  const connected = connectNats({ url: nats.url, seed: nats.seeds.relay, name: 'relay', log, makes: false })
  const announcer = announceRoutes({
    nats: connected,
    log,
    now: () => new Date(),
    relayId,
    peerAddress: '127.0.0.1:1',
  })
  onTestFinished(async () => {
    await announcer.close()
    await connected.close()
  })
  await announcer.announce({
    tunnelId: id,
    userId,
    subdomain,
    connectionId: `conn of ${relayId}`,
    agent: `agent-of-${relayId}`,
    generation: 1,
    relayId,
    credential: { type: 'api_key', id: 'key_1' },
  })
}

const reachable = (relay: StartedRelay, { subdomain }: Tunnel) =>
  expect.poll(async () => (await relay.visit(subdomain)).status, within).toBe(200)

describe('where there is no agent', () => {
  it('a tunnel that exists is offline, and one that does not is unknown', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    neighbours.subdomains.add(tunnel.subdomain)
    expect(await relay.visit(tunnel.subdomain)).toMatchObject({
      status: 502,
      body: { error: 'tunnel_offline', code: 5002 },
    })
    expect(await relay.visit('no-such-tunnel')).toMatchObject({
      status: 404,
      body: { error: 'not_found', code: 4004 },
    })
    const page = await relay.visit('no-such-tunnel', { headers: { accept: 'text/html' } })
    expect(page).toMatchObject({ status: 404, headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(page.text).toContain('<h1>No such tunnel</h1>')
  })

  it('nothing is said of tunnels that cannot be asked about', async () => {
    const away = await startNeighbours()
    away.away.tunnels = true
    const relay = await startRelay(away, nats)
    const answer = await relay.visit('any-tunnel')
    expect(answer).toMatchObject({ status: 503, body: { error: 'unavailable', retry_after: 1 } })
    expect(answer.headers['retry-after']).toBe('1')
    away.close()
  })

  it.each(['x'.repeat(64), 'a.b', ''])(
    'nobody is asked about %j, which is no name of a tunnel',
    async (name) => {
      const relay = await open()
      expect(await relay.visit(name)).toMatchObject({ status: 404 })
      expect(neighbours.lookedUp).not.toContain(name)
    },
  )
})

it("a tunnel is not reached by its id, which is nobody's address", async () => {
  const [a, b] = await Promise.all([open(), open()])
  const tunnel = newTunnel()
  ;(await a.agent(tunnel)).answer('ok')
  for (const relay of [a, b]) {
    await reachable(relay, tunnel)
    expect(await relay.visit(tunnel.id)).toMatchObject({ status: 404 })
  }
})

describe('where agents are at several relays', () => {
  it('one at the own relay goes before the others', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const tunnel = newTunnel()
    ;(await b.agent(tunnel, { agent: 'agent-at-relay-b_' })).answer('b')
    await reachable(a, tunnel)
    ;(await a.agent(tunnel, { agent: 'agent-at-relay-a_' })).answer('a')
    for (let n = 0; n < 5; n++) expect((await a.visit(tunnel.subdomain)).text).toBe('a')
  })

  it('one at a peer helps out where those here have as much as they may; 503 where all have', async () => {
    const [a, b] = await Promise.all([
      open({ MAX_REQUESTS_PER_AGENT: '1' }),
      open({ MAX_REQUESTS_PER_AGENT: '1' }),
    ])
    const tunnel = newTunnel()
    const far = await b.agent(tunnel, { agent: 'agent-at-relay-b_' })
    far.answer('b')
    await reachable(a, tunnel)
    far.answer(undefined)
    const near = await a.agent(tunnel, { agent: 'agent-at-relay-a_' })
    const answers: Promise<{ text: string }>[] = []
    const streams: LinkStream[] = []
    for (const agent of [near, far]) {
      answers.push(a.visit(tunnel.subdomain))
      streams.push((await agent.next()).stream)
    }
    for (const relay of [a, b])
      expect(await relay.visit(tunnel.subdomain)).toMatchObject({
        status: 503,
        body: { error: 'unavailable' },
      })
    for (const stream of streams) answerWith(stream, 'ok')
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(['ok', 'ok'])
  })

  it('they share the requests that arrive elsewhere', async () => {
    const [a, b, c] = await Promise.all([open(), open(), open()])
    const tunnel = newTunnel()
    const atB = await b.agent(tunnel, { agent: 'agent-at-relay-b_' })
    const atC = await c.agent(tunnel, { agent: 'agent-at-relay-c_' })
    for (const agent of [atB, atC]) agent.answer('ok')
    await expect
      .poll(async () => {
        await a.visit(tunnel.subdomain)
        return Math.min(atB.requests, atC.requests)
      }, within)
      .toBeGreaterThan(2)
  })

  it('those at relays that cannot be reached are passed over', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const tunnel = newTunnel()
    await Promise.all(['dead-relay-one', 'dead-relay-two'].map((relayId) => deadAgent(tunnel, relayId)))
    ;(await b.agent(tunnel)).answer('alive')
    await reachable(a, tunnel)
    const answers = await Promise.all(Array.from({ length: 20 }, () => a.visit(tunnel.subdomain)))
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['alive']))
  })
})

describe('where the relay of the only agent has just died', () => {
  it('visitors wait for the agent, and are answered when it has found another relay', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const tunnel = newTunnel()
    await deadAgent(tunnel, 'dead-relay')
    await knownOf(a, tunnel)
    const waiting = [a.visit(tunnel.subdomain), a.visit(tunnel.subdomain)]
    ;(await b.agent(tunnel)).answer('found another')
    expect((await Promise.all(waiting)).map(({ text }) => text)).toEqual(['found another', 'found another'])
  })

  it('and many wait, no address gets more than its share of the agent, handshakes neither', async () => {
    const relay = await open({ MAX_REQUESTS_PER_AGENT: '16', MAX_WEBSOCKETS_PER_AGENT: '16' })
    const tunnel = newTunnel()
    const before = await relay.agent(tunnel)
    before.link.destroy()
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket' }
    const statuses: number[] = []
    const waiting = Array.from({ length: 40 }, async (_, n) => {
      const asked = relay.visit(tunnel.subdomain, n % 2 === 0 ? {} : { headers: upgrade })
      statuses.push((await asked).status)
    })
    const agent = await relay.agent(tunnel)
    await expect.poll(() => statuses, within).toEqual(Array(8).fill(503))
    expect(agent.requests).toBe(32)
    agent.answer('ok')
    await Promise.all(waiting)
    const answered = (status: number) => statuses.filter((each) => each === status).length
    expect([200, 502, 503].map(answered)).toEqual([16, 16, 8]) // no handshake is answered with 200
  })

  it('and it does not come, they are told so', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    await deadAgent(tunnel, 'dead-relay')
    await knownOf(relay, tunnel)
  })
})

/** Resolves once a relay knows of the tunnel's agent, which cannot be reached; until then there is no such tunnel. */
const knownOf = (relay: StartedRelay, { subdomain }: Tunnel) =>
  expect
    .poll(() => relay.visit(subdomain), within)
    .toMatchObject({ status: 503, body: { error: 'unavailable', retry_after: 1 } })
