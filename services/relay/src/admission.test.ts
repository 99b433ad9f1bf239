import { randomBytes } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { CONNECT_HEADER, createConnectVerifier } from '@instatunnel/kit/connect'
import { AGENT_HEADER, connectPath, GENERATION_HEADER } from '@instatunnel/kit/connect-request'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { openRelayRoutes } from '@instatunnel/kit/relay-routes'
import { announceRoutes } from '@instatunnel/kit/route-announcer'
import { createConnectSigner, createIdentitySigner } from '@instatunnel/test/identity'
import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { openConnections } from '../test/agents.ts'
import { type Admitted, agentRequest, type Refused } from '../test/connect-agent.ts'
import { startNeighbours } from '../test/neighbours.ts'
import { type AgentOptions, newTunnel, startRelay, type Tunnel } from '../test/start-relay.ts'
import { createAdmission } from './admission.ts'
import { createEndedCredentials } from './ended-credentials.ts'

const now = () => new Date()
const within = { timeout: 10_000 }
const log = createLog('test', 'silent')
const nats = await freshNats({ streams: true })
const neighbours = await startNeighbours()
const watcher = connectNats({ url: nats.url, seed: nats.seeds.tunnels, name: 'tunnels', log })
const routes = openRelayRoutes({ nats: watcher, log, now })
const keys = connectNats({ url: nats.url, seed: nats.seeds.keys, name: 'keys', log })
await routes.ready
afterAll(async () => {
  routes.close()
  await Promise.all([watcher.close(), keys.close()])
  neighbours.close()
})

const open = (settings: Record<string, string> = {}) => startRelay(neighbours, nats, { settings })
const isAdmitted = (answer: Admitted | Refused): answer is Admitted => answer.status === 101
const SUPERSEDED = {
  status: 409,
  body: { error: 'conflict', message: 'This agent has a newer connection', code: 4010 },
}

describe('an agent that auth has let through', () => {
  it('is connected, told where its tunnel is, and told to the other relays', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const { headers } = await relay.agent(tunnel)
    expect(headers).toMatchObject({
      connection: 'upgrade',
      upgrade: 'instatunnel',
      'instatunnel-connection': expect.stringMatching(/^conn_[0-9a-z]{26}$/),
      'instatunnel-url': `https://${tunnel.subdomain}.example.com`,
    })
    await expect
      .poll(() => routes.routesOf(tunnel.id), within)
      .toMatchObject([
        {
          subdomain: tunnel.subdomain,
          userId: tunnel.userId,
          connectionId: headers['instatunnel-connection'],
        },
      ])
  })

  it.each<[string, AgentOptions, number, string]>([
    [
      'another protocol',
      { headers: { upgrade: 'websocket' } },
      400,
      'Here agents connect: Upgrade: instatunnel is needed',
    ],
    [
      'the path of another tunnel',
      { path: '/v1/tunnels/tun_other/connect' },
      400,
      'Here agents connect: Upgrade: instatunnel is needed',
    ],
    ['another path', { path: '/' }, 400, 'Here agents connect: Upgrade: instatunnel is needed'],
    [
      'a mode that auth did not allow',
      { claims: { mode: 'mcp' } },
      400,
      'Here agents connect: Upgrade: instatunnel is needed',
    ],
    ['no token', { token: '' }, 401, 'Invalid connect token'],
    ['garbage for a token', { token: 'e30.e30.' }, 401, 'Invalid connect token'],
  ])('with %s is refused', async (_, options, status, message) => {
    const relay = await open()
    expect(await relay.ask(newTunnel(), options)).toMatchObject({ status, body: { message } })
  })

  it.each<[string, AgentOptions, string]>([
    ['too short a name', { agent: 'short' }, 'instatunnel-agent'],
    ['a name of other letters', { agent: 'agent of sixteen.' }, 'instatunnel-agent'],
    ['no generation', { generation: 0 }, 'instatunnel-generation'],
    ['a generation that is no number', { generation: '1e3' }, 'instatunnel-generation'],
    ['a generation past what is exact', { generation: '9007199254740993' }, 'instatunnel-generation'],
  ])('with %s is refused', async (_, options, field) => {
    const relay = await open()
    const answer = await relay.ask(newTunnel(), options)
    expect(answer).toMatchObject({ status: 400, body: { error: 'validation_error', fields: [{ field }] } })
  })

  it("is refused with another of auth's tokens", async () => {
    const relay = await open()
    const identity = await createIdentitySigner().sign('user_1')
    expect(await relay.ask(newTunnel(), { token: identity })).toMatchObject({ status: 401 })
  })

  it('that asks for no upgrade at all is refused, and the connection to the gateway goes on', async () => {
    const relay = await open()
    const headers = { 'x-instatunnel-connect': 'any' }
    for (let n = 0; n < 20; n++) expect(await relay.visit('any', { headers })).toMatchObject({ status: 401 })
  })

  it("is put off while auth's keys are not to be had", async () => {
    const away = await startNeighbours()
    const relay = await startRelay(away, nats)
    away.away.auth = true
    const tunnel = newTunnel()
    const refused = await relay.ask(tunnel)
    expect(refused).toMatchObject({ status: 503, body: { error: 'unavailable' } })
    expect(refused.headers['retry-after']).toBe('1')
    away.away.auth = false
    await expect.poll(async () => (await relay.ask(tunnel)).status, within).toBe(101)
    await relay.close()
    away.close()
  })

  it('and goes while it is being connected leaves nothing behind', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const { id, subdomain, userId } = tunnel
    const token = await neighbours.sign(userId, { tunnel: { id, subdomain, tokenGeneration: 0 } })
    await Promise.all(
      Array.from({ length: 30 }, (_, n) => {
        const sent = agentRequest(relay.port, { token, tunnelId: id, agent: `leaving-agent-of-${n}` })
        sent.on('error', () => {})
        sent.end()
        return new Promise<void>((resolve) => {
          sent.on('socket', (socket) =>
            socket.on('connect', () =>
              // The request has gone out, and the answer has not come.
              setImmediate(() => {
                socket.resetAndDestroy()
                resolve()
              }),
            ),
          )
        })
      }),
    )
    await relay.agent(tunnel)
    // Sooner than a connection would be given up that was not heard of again.
    await expect
      .poll(() => routes.routesOf(id).map(({ agent }) => agent), { timeout: 5000 })
      .toEqual(['agent-of-16-chars'])
  })
})

describe('an agent that connects anew', () => {
  it('replaces its older connection at once, and an older one is refused, whatever the relay', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const tunnel = newTunnel()
    const first = await a.agent(tunnel, { generation: 1 })
    const second = await a.agent(tunnel, { generation: 2 })
    expect(await first.sentAway).toBe('replaced')
    const third = await b.agent(tunnel, { generation: 3 })
    expect(await second.sentAway).toBe('replaced')
    for (const relay of [a, b])
      for (const generation of [1, 2, 3])
        expect(await relay.ask(tunnel, { generation })).toMatchObject(SUPERSEDED)
    third.answer('the third')
    expect(third.link.ended).toBe(false)
    for (const relay of [a, b])
      await expect.poll(async () => (await relay.visit(tunnel.subdomain)).text, within).toBe('the third')
  })

  it('in many generations at once has its newest left, and no other', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const generations = [3, 9, 1, 7, 12, 5, 11, 2, 8, 4, 10, 6]
    const answers = await Promise.all(generations.map((generation) => relay.ask(tunnel, { generation })))
    const newest = answers[generations.indexOf(12)] as Admitted
    expect(newest.status).toBe(101)
    for (const answer of answers) {
      if (!isAdmitted(answer)) expect(answer).toMatchObject(SUPERSEDED)
      else if (answer !== newest) expect(await answer.sentAway).toBe('replaced')
      if (isAdmitted(answer)) answer.answer(answer === newest ? 'the newest' : 'an older one')
    }
    for (let n = 0; n < 10; n++) expect((await relay.visit(tunnel.subdomain)).text).toBe('the newest')
  })

  it('at two relays at once, in either order, has its newest left, and no other', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const race = async (tunnel: Tunnel, n: number) => {
      const both = [() => a.ask(tunnel, { generation: 1 }), () => b.ask(tunnel, { generation: 2 })]
      if (n % 2 === 1) both.reverse()
      const answers = await Promise.all(both.map((ask) => ask()))
      if (n % 2 === 1) answers.reverse()
      return { tunnel, older: answers[0] as Admitted | Refused, newer: answers[1] as Admitted | Refused }
    }
    const races = await Promise.all(Array.from({ length: 100 }, (_, n) => race(newTunnel(), n)))
    for (const { older, newer } of races) {
      expect(newer.status).toBe(101)
      if (isAdmitted(older)) expect(await older.sentAway).toBe('replaced')
      else expect(older).toMatchObject(SUPERSEDED)
      if (isAdmitted(newer)) newer.answer('the newer')
    }
    for (const { tunnel, newer } of races) {
      await expect
        .poll(() => routes.routesOf(tunnel.id).map(({ generation }) => generation), within)
        .toEqual([2])
      expect(isAdmitted(newer) && newer.link.ended).toBe(false)
    }
    for (const { tunnel } of races.slice(0, 10)) {
      expect((await b.visit(tunnel.subdomain)).text).toBe('the newer')
      await expect.poll(async () => (await a.visit(tunnel.subdomain)).text, within).toBe('the newer')
    }
  })
})

it('an agent whose newer connection another relay took a moment ago is refused, though its own was announced', async () => {
  const { keys, sign } = createConnectSigner()
  const { id: tunnelId, subdomain, userId } = newTunnel()
  const relays = connectNats({ url: nats.url, seed: nats.seeds.relay, name: 'relay', log, makes: false })
  const announcerOf = (relayId: string) => {
    const announcer = announceRoutes({ nats: relays, log, now, relayId, peerAddress: `${relayId}:1` })
    onTestFinished(() => announcer.close())
    return announcer
  }
  onTestFinished(() => relays.close())
  const [own, other] = [announcerOf('relay_own'), announcerOf('relay_other')]
  const generations = () => routes.routesOf(tunnelId).map(({ generation }) => generation)
  const admit = createAdmission({
    relayId: 'relay_own',
    verifyConnect: createConnectVerifier({ listKeys: async () => keys, now }),
    connections: openConnections().connections,
    routes,
    announcer: {
      withdraw: own.withdraw,
      async announce(route) {
        const announced = await own.announce(route)
        await other.announce({ ...route, relayId: 'relay_other', generation: 2, connectionId: 'conn_2' })
        await expect.poll(generations, within).toEqual([2])
        return announced
      },
    },
    ended: createEndedCredentials(now),
    maxAgentsPerTunnel: 1,
    isDraining: () => false,
    now,
    random: randomBytes,
  })
  const request = new IncomingMessage(new Socket())
  request.url = connectPath(tunnelId)
  request.headers = {
    upgrade: 'instatunnel',
    [CONNECT_HEADER]: await sign(userId, { tunnel: { id: tunnelId, subdomain, tokenGeneration: 0 } }),
    [AGENT_HEADER]: 'agent-of-16-chars',
    [GENERATION_HEADER]: '1',
  }
  const connected: unknown[] = []
  const asked = admit(request, (admitted) => connected.push(admitted))
  await expect(asked).rejects.toMatchObject({ reason: 'SUPERSEDED' })
  expect(connected).toEqual([])
  expect(generations()).toEqual([2])
})

describe('agents of one tunnel', () => {
  it('are connected up to the bound, however many come at once; and who is there may connect anew', async () => {
    const relay = await open({ MAX_AGENTS_PER_TUNNEL: '4' })
    const tunnel = newTunnel()
    const names = Array.from({ length: 40 }, (_, n) => `one-of-many-agents-${n}`)
    const answers = await Promise.all(names.map((agent) => relay.ask(tunnel, { agent })))
    expect(answers.filter(isAdmitted)).toHaveLength(4)
    expect(answers.find((answer) => !isAdmitted(answer))).toMatchObject({
      status: 503,
      body: { error: 'unavailable', message: 'The tunnel has as many agents as it may have: 4 at one relay' },
    })
    await expect.poll(() => routes.routesOf(tunnel.id).length, within).toBe(4)
    const here = names[answers.findIndex(isAdmitted)] as string
    expect((await relay.ask(tunnel, { agent: here, generation: 2 })).status).toBe(101)
    const another = newTunnel()
    expect((await relay.ask(another)).status).toBe(101)
  })
})

describe('a credential that ended between the decision about an agent and its connection', () => {
  it('does not admit it: it has to ask anew', async () => {
    const relay = await open()
    const [tunnel, marker] = [newTunnel(), newTunnel()]
    const known = await relay.agent(marker)
    const sign = (credential: string) =>
      neighbours.sign(tunnel.userId, {
        tunnel: { id: tunnel.id, subdomain: tunnel.subdomain, tokenGeneration: 0 },
        credential: { type: 'api_key', id: credential },
      })
    const [token, other] = await Promise.all([sign('key_revoked'), sign('key_other')])
    for (const [id, key] of [
      ['evt_1', 'key_revoked'],
      ['evt_2', `key of ${marker.id}`],
    ] as const) {
      const data = { key_id: key, user_id: tunnel.userId }
      await publishEvent(keys, 'keys', { id, type: 'key.revoked', subject: key, time: new Date(), data })
    }
    // Who is cut by the later event tells that the earlier was heard.
    expect(await known.sentAway).toBe('key_revoked')
    const refused = await relay.ask(tunnel, { token })
    expect(refused).toMatchObject({ status: 503, body: { error: 'unavailable', retry_after: 1 } })
    expect(refused.headers['retry-after']).toBe('1')
    expect((await relay.ask(tunnel, { token: other })).status).toBe(101)
  })
})
