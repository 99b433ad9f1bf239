import { createServer } from 'node:net'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { openRelayRoutes } from '@instatunnel/kit/relay-routes'
import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { allOf, until } from '../test/carrying.ts'
import { startNeighbours } from '../test/neighbours.ts'
import {
  newTunnel,
  relayEnvironment,
  type StartedRelay,
  startRelay,
  type Tunnel,
} from '../test/start-relay.ts'
import { readConfig } from './config.ts'
import { start } from './start.ts'

const within = { timeout: 15_000 }
const log = createLog('test', 'silent')
const nats = await freshNats({ streams: true })
const neighbours = await startNeighbours()
afterAll(() => neighbours.close())

/** A relay whose clock may be put forward. */
async function open(settings: Record<string, string> = {}) {
  let ahead = 0
  const now = () => new Date(Date.now() + ahead)
  const relay = await startRelay(neighbours, nats, { settings, now })
  const pass = (ms: number) => {
    ahead += ms
  }
  return Object.assign(relay, { pass })
}

/** Resolves once a relay has the tunnel's visitors answered. */
const reachable = (relay: StartedRelay, { subdomain }: Tunnel) =>
  expect.poll(async () => (await relay.visit(subdomain)).status, within).toBe(200)

/** A relay with an agent, and another that visitors arrive at. */
async function wrongRelay() {
  const [wrong, right] = await Promise.all([open(), open()])
  const tunnel = newTunnel()
  const agent = await right.agent(tunnel)
  agent.answer('ok')
  await reachable(wrong, tunnel)
  agent.answer(undefined)
  return { wrong, right, tunnel, agent, host: `Host: ${tunnel.subdomain}.example.com` }
}

describe('a visitor who arrives at another relay than the agent', () => {
  it('has body, trailers and 103 passed through one hop', async () => {
    const { wrong, agent, host } = await wrongRelay()
    const socket = await wrong.visitor()
    socket.write(`POST /a//b?c HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n`)
    const { stream, lines, chunks, complete } = await agent.next()
    expect(lines.slice(0, 2)).toEqual(['POST', '/a//b?c'])
    socket.write('2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n')
    expect(await complete).toBe('x-sum\n7')
    expect(Buffer.concat(chunks).toString()).toBe('hi')
    stream.head('103\nEarly Hints\nlink\n</a.css>; rel=preload', false)
    await until(socket, 'HTTP/1.1 103 Early Hints\r\n')
    stream.head('200\nOK\ntrailer\nx-end', false)
    await until(socket, 'HTTP/1.1 200 OK\r\n')
    stream.send(Buffer.from('data: 1\n\n'))
    await until(socket, 'data: 1\n\n')
    stream.trailers('x-end\n9')
    await until(socket, 'x-end: 9\r\n\r\n')
  })

  it('switches to another protocol, and bytes pass both ways', async () => {
    const { wrong, agent, host } = await wrongRelay()
    const socket = await wrong.visitor()
    socket.write(`GET / HTTP/1.1\r\n${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
    const { stream, chunks } = await agent.next()
    stream.head('101\nSwitching Protocols\nupgrade\nwebsocket', false)
    await until(socket, '\r\n\r\n')
    socket.write('ping')
    await expect.poll(() => Buffer.concat(chunks).toString()).toBe('ping')
    stream.send(Buffer.from('pong'), true)
    await until(socket, 'pong')
  })

  it('gives up, and so does the agent; or is cut off in the middle of a body where the agent goes', async () => {
    const { wrong, agent, host } = await wrongRelay()
    const [leaving, staying] = [await wrong.visitor(), await wrong.visitor()]
    leaving.write(`GET / HTTP/1.1\r\n${host}\r\n\r\n`)
    const given = await agent.next()
    leaving.destroy()
    await given.reset
    staying.write(`GET / HTTP/1.1\r\n${host}\r\n\r\n`)
    const { stream } = await agent.next()
    stream.head('200\nOK', false)
    stream.send(Buffer.from('half'))
    await until(staying, 'half')
    const all = allOf(staying)
    agent.socket.destroy()
    expect(await all).not.toContain('0\r\n\r\n')
  })

  it('is metered once', async () => {
    const { wrong, right, agent, tunnel } = await wrongRelay()
    agent.answer('12345')
    const marker = newTunnel()
    ;(await right.agent(marker)).answer('')
    await wrong.visit(tunnel.subdomain, { method: 'PUT', body: '123' })
    await wrong.close()
    await reachable(right, marker)
    await right.close()
    const observer = await nats.observe()
    const uses = (of: Tunnel): Use[] =>
      observer.events
        .filter(({ type }) => type.endsWith('.usage.tunnel'))
        .flatMap(({ data }) => data.uses as Use[])
        .filter(({ tunnel_id }) => tunnel_id === of.id)
    // What the other relay told last comes after all that it might have told of the same request.
    await expect.poll(() => uses(marker).length, within).toBeGreaterThan(0)
    const sum = (of: 'requests' | 'bytes_in') => uses(tunnel).reduce((all, use) => all + (use[of] ?? 0), 0)
    expect([sum('requests'), sum('bytes_in')]).toEqual([agent.requests, 3])
  })
})

interface Use {
  readonly tunnel_id: string
  readonly requests: number
  readonly bytes_in?: number
}

describe('what ends a credential', () => {
  const told = async (user: 'auth' | 'keys' | 'tunnels', type: string, subject: string, data: object) => {
    const connected = connectNats({ url: nats.url, seed: nats.seeds[user], name: user, log })
    const time = new Date()
    await publishEvent(connected, user, { id: `evt_${type}_${subject}`, type, subject, time, data })
    await connected.close()
  }

  it('cuts at every relay, and tells agents why', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const tunnel = newTunnel()
    const credential = {
      type: 'session',
      id: `ses of ${tunnel.id}`,
      sessionId: `ses of ${tunnel.id}`,
    } as const
    const key = { type: 'api_key', id: 'key_1', sessionId: credential.id } as const
    const agents = await Promise.all([
      a.agent(tunnel, { credential, agent: 'agent-at-relay-a_' }),
      b.agent(tunnel, { credential: key, agent: 'agent-at-relay-b_' }),
    ])
    const other = await b.agent(tunnel, { agent: 'agent-with-a-key_' })
    await told('auth', 'session.revoked', credential.id, {
      session_id: credential.id,
      user_id: tunnel.userId,
    })
    for (const agent of agents) expect(await agent.sentAway).toBe('session_ended')
    expect(other.link.ended).toBe(false)
  })

  it('is a response timeout, too: an agent that was let through a moment before has the new one', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const { id, subdomain, userId } = tunnel
    const nearby = connectNats({ url: nats.url, seed: nats.seeds.tunnels, name: 'tunnels', log })
    const routes = openRelayRoutes({ nats: nearby, log, now: () => new Date() })
    onTestFinished(async () => {
      routes.close()
      await nearby.close()
    })
    const limits = () => routes.routesOf(id).map(({ responseTimeout }) => responseTimeout)
    await relay.agent(tunnel, { agent: 'agent-before-it__' })
    const data = { tunnel_id: id, user_id: userId, subdomain, changed: ['response_timeout'] }
    await told('tunnels', 'tunnel.updated', id, { ...data, response_timeout: 0 })
    await expect.poll(limits, within).toEqual([0])
    await relay.agent(tunnel, { agent: 'agent-on-its-way_' })
    await expect.poll(limits, within).toEqual([0, 0])
  })

  it('has auth asked where only auth knows, and cuts with what it says', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const [kept, cut] = [await relay.agent(tunnel), await relay.agent(newTunnel({ userId: tunnel.userId }))]
    neighbours.verdict = ({ tunnelId }) => (tunnelId === tunnel.id ? '' : 'plan_limit')
    await told('auth', 'user.updated', tunnel.userId, { user_id: tunnel.userId })
    expect(await cut.sentAway).toBe('plan_limit')
    neighbours.verdict = () => ''
    expect(kept.link.ended).toBe(false)
  })

  it.each(['the asking', 'the event'])(
    'is cut when that is asked for, and every relay tells how many it cut, where %s comes first',
    async (first) => {
      const [a, b] = await Promise.all([open(), open()])
      const tunnel = newTunnel()
      const credentialId = `key of ${tunnel.id}`
      const agents = await Promise.all([
        a.agent(tunnel, { agent: 'agent-at-relay-a1' }),
        a.agent(tunnel, { agent: 'agent-at-relay-a2' }),
        b.agent(tunnel, { agent: 'agent-at-relay-b1' }),
      ])
      const event = () =>
        told('keys', 'key.revoked', credentialId, { key_id: credentialId, user_id: tunnel.userId })
      const cut = async () => {
        const tunnels = connectNats({ url: nats.url, seed: nats.seeds.tunnels, name: 'tunnels', log })
        onTestFinished(() => tunnels.close())
        const { connection } = await tunnels.ready
        const asked = { credentialType: 'api_key', credentialId, reason: 'key_revoked' }
        const answers = await connection.requestMany('instatunnel.relay.cut', JSON.stringify(asked), {
          strategy: 'count',
          maxMessages: 2,
          maxWait: 5000,
        })
        const counts: number[] = []
        for await (const answer of answers) counts.push(answer.json<{ cut: number }>().cut)
        return counts.sort()
      }
      if (first === 'the event') await event()
      else expect(await cut()).toEqual([1, 2])
      for (const agent of agents) expect(await agent.sentAway).toBe('key_revoked')
      if (first === 'the event') expect(await cut()).toEqual([1, 2])
    },
  )
})

describe('a relay that is closed', () => {
  it('says so by its health, takes no agents, lets requests finish, and ends when they have', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const agent = await relay.agent(tunnel)
    expect(await relay.health()).toBe(200)
    const visit = relay.visit(tunnel.subdomain)
    const { stream } = await agent.next()
    const closed = relay.close()
    expect(await agent.sentAway).toBe('draining')
    expect(await relay.health()).toBe(503)
    const refused = await relay.ask(tunnel, { generation: 2 })
    expect(refused).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { error: 'unavailable', message: 'The relay is restarting' },
    })
    stream.head('200\nOK', false)
    stream.send(Buffer.from('to its end'), true)
    expect(await visit).toMatchObject({ status: 200, text: 'to its end' })
    await closed
    await agent.ended
    await expect(relay.health()).rejects.toThrow()
  })

  it('has its agents move first: visitors at the others do not notice', async () => {
    const [closing, other] = await Promise.all([open(), open()])
    const tunnel = newTunnel()
    const agent = await closing.agent(tunnel)
    agent.answer('before')
    await reachable(other, tunnel)
    let over = false
    const visits: Promise<string[]>[] = []
    const visiting = async () => {
      const texts: string[] = []
      while (!over) texts.push((await other.visit(tunnel.subdomain)).text)
      return texts
    }
    for (let n = 0; n < 4; n++) visits.push(visiting())
    await expect.poll(() => agent.requests, within).toBeGreaterThan(20)
    const closed = closing.close()
    await agent.sentAway
    const moved = await other.agent(tunnel, { generation: 2 })
    moved.answer('after')
    await closed
    await expect.poll(() => moved.requests, within).toBeGreaterThan(20)
    over = true
    expect(new Set((await Promise.all(visits)).flat())).toEqual(new Set(['before', 'after']))
  })

  it('waits until a slow visitor has taken all of an answer', async () => {
    const relay = await open()
    const tunnel = newTunnel()
    const agent = await relay.agent(tunnel)
    const socket = await relay.visitor()
    socket.pause()
    socket.write(`GET / HTTP/1.1\r\nHost: ${tunnel.subdomain}.example.com\r\n\r\n`)
    const played = await agent.next()
    played.stream.head('200\nOK', false)
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let sent = 0
    const send = () => {
      do sent += chunk.length
      while (played.stream.send(chunk))
    }
    played.onWritable = send
    send()
    // Full, where nothing more was taken between two looks.
    let before = -1
    await expect
      .poll(
        () => {
          const isFull = before === sent
          before = sent
          return isFull
        },
        { ...within, interval: 300 },
      )
      .toBe(true)
    played.onWritable = () => {}
    played.stream.end()
    await expect.poll(() => agent.link.size).toBe(0)
    const closed = relay.close()
    await agent.ended
    let looks = 0
    await expect
      .poll(async () => [await relay.health(), ++looks > 5], { ...within, interval: 50 })
      .toEqual([503, true])
    const all = allOf(socket)
    socket.resume()
    await closed
    const body = (await all).split('\r\n\r\n').slice(1).join('')
    expect(body.endsWith('\r\n0')).toBe(true)
    expect(body.replaceAll(/[^x]/g, '')).toHaveLength(sent)
  })

  it('ends after 30 s whatever does not: a request, and an upgraded connection through a peer', async () => {
    const { wrong, right, tunnel, agent, host } = await wrongRelay()
    const near = newTunnel()
    const nearAgent = await wrong.agent(near)
    const [stuck, switched] = [await wrong.visitor(), await wrong.visitor()]
    stuck.write(`GET / HTTP/1.1\r\nHost: ${near.subdomain}.example.com\r\n\r\n`)
    switched.write(`GET / HTTP/1.1\r\n${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
    await nearAgent.next()
    const { stream } = await agent.next()
    stream.head('101\nSwitching Protocols\nupgrade\nwebsocket', false)
    await until(switched, '\r\n\r\n')
    const ends = [stuck, switched].map(allOf)
    const closed = wrong.close()
    expect(await nearAgent.sentAway).toBe('draining')
    wrong.pass(30_000)
    await closed
    await Promise.all(ends)
    agent.answer('ok')
    await reachable(right, tunnel)
  })
})

describe('a relay that is started', () => {
  it('while NATS is away carries what comes to it', async () => {
    const away = { url: 'nats://127.0.0.1:1', seeds: nats.seeds }
    const relay = await startRelay(neighbours, away)
    const tunnel = newTunnel()
    ;(await relay.agent(tunnel)).answer('ok')
    expect(await relay.visit(tunnel.subdomain)).toMatchObject({ status: 200, text: 'ok' })
    await relay.close()
  })

  it('knows of the agents at other relays from its first visitor on', async () => {
    const first = await open()
    const tunnel = newTunnel()
    ;(await first.agent(tunnel)).answer('ok')
    const second = await open()
    expect(await second.visit(tunnel.subdomain)).toMatchObject({ status: 200, text: 'ok' })
  })

  it('where it cannot listen stops, and leaves nothing open', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as { port: number }
    const free = createServer()
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve))
    const { port: peerPort } = free.address() as { port: number }
    await new Promise((resolve) => free.close(resolve))
    const settings = { LISTEN: `127.0.0.1:${port}`, PEER_LISTEN: `127.0.0.1:${peerPort}` }
    const config = readConfig({ ...relayEnvironment(neighbours, nats), ...settings })
    await expect(start(config, log)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    const again = createServer()
    await new Promise<void>((resolve) => again.listen(peerPort, '127.0.0.1', resolve))
    await new Promise((resolve) => again.close(resolve))
  })
})
