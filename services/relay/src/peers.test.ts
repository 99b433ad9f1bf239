import { readFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import { SERVICE_METADATA } from '@instatunnel/kit/guard'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import { createLog } from '@instatunnel/kit/log'
import type { LiveRoute } from '@instatunnel/kit/relay-routes'
import { createServiceSigner, createServiceVerifier } from '@instatunnel/kit/service-identity'
import type { TlsFiles } from '@instatunnel/kit/tls'
import { makeAuthority } from '@instatunnel/test/certificates'
import { newKeyPair } from '@instatunnel/test/identity'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { anybody, occupy, openConnections } from '../test/agents.ts'
import type { Carrier } from './connections.ts'
import { createPeers, servePeers } from './peers.ts'
import { routeOf } from './presence.ts'

const now = () => new Date()
const keys = { relay: newKeyPair(), auth: newKeyPair() }
const publicKeys = { relay: keys.relay.publicKey, auth: keys.auth.publicKey }
const verifyService = createServiceVerifier({ service: 'relay', publicKeys, now })
const signAs = (service: 'relay' | 'auth', privateKey = keys[service].privateKey) =>
  createServiceSigner({ service, privateKey, now })

const authority = await makeAuthority()
afterAll(() => authority.remove())
const certified = async (names: string): Promise<TlsFiles> => {
  const { certFile, keyFile, caFile } = await authority.sign(`of ${names || 'nobody'}`, names)
  const [cert, key, ca] = await Promise.all([certFile, keyFile, caFile].map((file) => readFile(file)))
  return { cert, key, ca } as TlsFiles
}

/** A relay's peer port, with agents of its own. */
async function openRelay({ tls, maxRequests }: { tls?: TlsFiles; maxRequests?: number } = {}) {
  const all = openConnections(maxRequests === undefined ? {} : { maxRequests })
  const log = createLog('relay', 'silent')
  const served = await servePeers('127.0.0.1:0', {
    agents: () => all.connections,
    verifyService,
    tls,
    log,
  })
  onTestFinished(() => served.close())
  return { ...all, ...served }
}

/** Another relay's ways to it. */
function openPeers({
  tls,
  sign = signAs('relay'),
}: {
  tls?: TlsFiles
  sign?: ReturnType<typeof signAs>
} = {}) {
  const logged: string[] = []
  const log = createLog('relay', 'warn', { write: (line) => logged.push(line) })
  const peers = createPeers({ sign, tls, log })
  onTestFinished(() => peers.close())
  return Object.assign(peers, { logged })
}

const routeTo = (peerAddress: string, of: Partial<LiveRoute> = {}): LiveRoute => ({
  tunnelId: 'tun_1',
  userId: 'user_1',
  subdomain: 'docs',
  connectionId: 'conn_1',
  agent: 'agent',
  generation: 1,
  relayId: 'relay_b',
  credential: { type: 'api_key', id: 'key_1' },
  ...of,
  peerAddress,
})

/** What a visitor's side is told of a stream. */
class Told implements StreamSink {
  readonly said: string[] = []
  stream: LinkStream | undefined
  bytes = 0
  holds = false
  onWritable = () => {}
  head(text: string, end: boolean): void {
    this.said.push(`head ${text.replaceAll('\n', ' ')}${end ? ' end' : ''}`)
  }
  data(chunk: Buffer, end: boolean): void {
    this.bytes += chunk.length
    if (!this.holds) this.stream?.consumed(chunk.length)
    if (chunk.length < 1000) this.said.push(`data ${chunk}${end ? ' end' : ''}`)
  }
  trailers(text: string): void {
    this.said.push(`trailers ${text.replaceAll('\n', ' ')}`)
  }
  reset(code: number): void {
    this.said.push(`reset ${code}`)
  }
  writable(): void {
    this.onWritable()
  }
}

/** Opens a stream over a carrier. */
function ask(carrier: Carrier | undefined, head = 'GET\n/', end = true) {
  const told = new Told()
  const stream = carrier?.open(head, end, told, anybody)
  if (typeof stream !== 'object') throw new Error(stream ?? 'no carrier')
  return Object.assign(told, { stream })
}

/** Two relays, an agent at the one, and a carrier to it at the other. */
async function twoRelays(options: Parameters<typeof openRelay>[0] = {}) {
  const relay = await openRelay(options)
  const agent = relay.connect()
  const peers = openPeers()
  const carrier = await peers.carrier(routeTo(relay.address))
  return { relay, agent, peers, carrier }
}

describe('a request that arrived at another relay', () => {
  it('is answered through one hop: heads of 1xx, bodies and trailers both ways', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier, 'POST\n/a?b\nte\ntrailers', false)
    asked.stream.send(Buffer.from('up'))
    const { stream, lines, chunks, complete } = await agent.next()
    expect(lines).toEqual(['POST', '/a?b', 'te', 'trailers'])
    asked.stream.trailers('x-sum\n7')
    expect(await complete).toBe('x-sum\n7')
    expect(Buffer.concat(chunks).toString()).toBe('up')
    stream.head('103\nEarly Hints\nlink\n</a>', false)
    stream.head('200\nOK', false)
    stream.send(Buffer.from('down'))
    stream.trailers('x-end\n9')
    const whole = ['head 103 Early Hints link </a>', 'head 200 OK', 'data down', 'trailers x-end 9']
    await expect.poll(() => asked.said).toEqual(whole)
    expect(agent.connection.link.size).toBe(0)
    expect(asked.stream.link.size).toBe(0)
  })

  it('is switched to another protocol, and either side may say its last before the other', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier, 'GET\n/\nupgrade\nwebsocket', false)
    const { stream, chunks, complete } = await agent.next()
    stream.head('101\nSwitching Protocols\nupgrade\nwebsocket', false)
    await expect.poll(() => asked.said).toHaveLength(1)
    asked.stream.send(Buffer.from('ping'), true)
    await complete
    expect(Buffer.concat(chunks).toString()).toBe('ping')
    stream.send(Buffer.from('pong'))
    stream.send(Buffer.from(' and bye'), true)
    await expect.poll(() => asked.said.slice(1).join('')).toMatch(/^data pong.*bye end$/)
  })

  it.each([RESET.local_down, RESET.too_slow, RESET.too_many])(
    'hears of code %i from the agent',
    async (code) => {
      const { agent, carrier } = await twoRelays()
      const asked = ask(carrier)
      ;(await agent.next()).stream.reset(code)
      await expect.poll(() => asked.said).toEqual([`reset ${code}`])
    },
  )

  it('goes on where agents of others say nothing but empty pieces, each as many as it may', async () => {
    const { relay, peers } = await twoRelays()
    const visit = async (tunnelId: string) => {
      const agent = relay.connect({ tunnelId, subdomain: tunnelId })
      const asked = ask(await peers.carrier(routeTo(relay.address, { tunnelId })))
      const { stream } = await agent.next()
      stream.head('200\nOK', false)
      return { asked, stream }
    }
    const [site, ...floods] = [await visit('tun_2'), await visit('tun_3'), await visit('tun_4')]
    for (const { stream } of floods) for (let n = 0; n < 900; n++) stream.send(Buffer.alloc(0))
    for (const { stream } of floods) stream.end()
    for (const { asked } of floods) await expect.poll(() => asked.said.at(-1)).toBe('data  end')
    site.stream.send(Buffer.from('goes on'), true)
    await expect.poll(() => site.asked.said).toEqual(['head 200 OK', 'data goes on end'])
  })

  it('is given up at the agent where its visitor gives up', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier)
    const { reset } = await agent.next()
    asked.stream.reset(RESET.cancelled)
    expect(await reset).toBe(RESET.cancelled)
  })

  it('is lost with its agent, in the middle of a body too', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier)
    const { stream } = await agent.next()
    stream.head('200\nOK', false)
    stream.send(Buffer.from('half'))
    await expect.poll(() => asked.said).toHaveLength(2)
    agent.socket.destroy()
    await expect.poll(() => asked.said.at(-1)).toBe(`reset ${RESET.lost}`)
  })

  it('is lost with its relay, in the middle of a body too', async () => {
    const { agent, carrier, relay, peers } = await twoRelays()
    const asked = ask(carrier)
    ;(await agent.next()).stream.head('200\nOK', false)
    await expect.poll(() => asked.said).toHaveLength(1)
    await relay.close()
    await expect.poll(() => asked.said.at(-1)).toBe(`reset ${RESET.lost}`)
    expect(peers.streams).toBe(0)
  })

  it('is given up at the agent where its own relay dies', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier)
    const { reset } = await agent.next()
    asked.stream.link.destroy()
    expect(await reset).toBe(RESET.lost)
  })

  it('goes to the agent that has the least to do, and is refused where all have too much or none is left', async () => {
    const relay = await openRelay({ maxRequests: 1 })
    const [busy, free] = [relay.connect(), relay.connect()]
    occupy(busy)
    free.answer('free')
    const carrier = await openPeers().carrier(routeTo(relay.address))
    const first = ask(carrier)
    await expect.poll(() => first.said.at(-1)).toBe('data free end')
    occupy(free)
    const second = ask(carrier)
    await expect.poll(() => second.said).toEqual([`reset ${RESET.too_many}`])
    relay.connections.retire(() => true, 'draining')
    const third = ask(carrier)
    await expect.poll(() => third.said).toEqual([`reset ${RESET.refused}`])
  })

  it('never goes on to a third relay, and never to another tunnel', async () => {
    const { relay } = await twoRelays()
    const carrier = await openPeers().carrier(routeTo(relay.address, { tunnelId: 'docs' }))
    const asked = ask(carrier)
    await expect.poll(() => asked.said).toEqual([`reset ${RESET.refused}`])
  })
})

describe('a body that nobody reads', () => {
  const CHUNK = Buffer.alloc(64 * 1024)
  const BODY_BYTES = 64 * 1024 * 1024
  /** Sends all of the body, as far and as soon as the stream takes it; tells how much that was. */
  const sendAll = (stream: LinkStream) => {
    let sent = 0
    const send = () => {
      while (sent < BODY_BYTES) {
        sent += CHUNK.length
        if (!stream.send(CHUNK, sent === BODY_BYTES)) return
      }
    }
    send()
    return { send, sent: () => sent }
  }

  it('is held back at the visitor, whatever its length, and goes on when it is read', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier, 'PUT\n/', false)
    const played = await agent.next()
    played.holds = true
    const { send, sent } = sendAll(asked.stream)
    asked.onWritable = send
    const received = () => played.chunks.reduce((sum, { length }) => sum + length, 0)
    await expect.poll(received).toBe(WINDOW_BYTES)
    // What was sent before another request's answer has arrived with it.
    const other = ask(carrier)
    ;(await agent.next()).stream.head('204\nNo Content', true)
    await expect.poll(() => other.said).toHaveLength(1)
    expect(sent()).toBe(WINDOW_BYTES)
    played.holds = false
    played.stream.consumed(received())
    await played.complete
    expect(received()).toBe(BODY_BYTES)
    expect(agent.link.ended).toBe(false)
  })

  it('is held back at the agent, whatever its length, and goes on when it is read', async () => {
    const { agent, carrier } = await twoRelays()
    const asked = ask(carrier)
    asked.holds = true
    const played = await agent.next()
    played.stream.head('200\nOK', false)
    const { send, sent } = sendAll(played.stream)
    played.onWritable = send
    await expect.poll(() => asked.bytes).toBe(WINDOW_BYTES)
    const other = ask(carrier)
    ;(await agent.next()).stream.head('204\nNo Content', true)
    await expect.poll(() => other.said).toHaveLength(1)
    expect(sent()).toBe(WINDOW_BYTES)
    asked.holds = false
    asked.stream.consumed(asked.bytes)
    await expect.poll(() => asked.bytes, { timeout: 10_000 }).toBe(BODY_BYTES)
    expect(asked.stream.link.ended).toBe(false)
  })
})

describe('the way to a peer', () => {
  it('is one link for all who ask at once, and is made anew where it was lost', async () => {
    const relay = await openRelay()
    relay.connect().answer('ok')
    const peers = openPeers()
    const route = routeTo(relay.address)
    const carriers = await Promise.all([peers.carrier(route), peers.carrier(route), peers.carrier(route)])
    const asked = carriers.map((carrier) => ask(carrier))
    expect(new Set(asked.map(({ stream }) => stream.link)).size).toBe(1)
    expect(peers.streams).toBe(3)
    expect(peers.carrier(route)).not.toBeInstanceOf(Promise)
    asked[0]?.stream.link.destroy()
    const again = ask(await peers.carrier(route))
    await expect.poll(() => again.said.at(-1)).toBe('data ok end')
  })

  it.each([
    ['nobody listens', '127.0.0.1:1'],
    ['that is no address', 'nowhere'],
  ])('is none where %s', async (_, address) => {
    const peers = openPeers()
    expect(await peers.carrier(routeTo(address))).toBeUndefined()
    expect(peers.logged).toHaveLength(1)
    expect(await peers.carrier(routeTo(address))).toBeUndefined()
    expect(peers.logged).toHaveLength(1)
  })

  it('is none where something else answers, or nothing does', async () => {
    const server = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    expect(await openPeers().carrier(routeTo(`127.0.0.1:${port}`))).toBeUndefined()
    server.removeAllListeners('request')
    expect(await openPeers().carrier(routeTo(`127.0.0.1:${port}`))).toBeUndefined()
    server.closeAllConnections()
    server.close()
  })

  it('is none that is made when all is closed', async () => {
    const relay = await openRelay()
    const peers = openPeers()
    const late = peers.carrier(routeTo(relay.address))
    peers.close()
    expect(await late).toBeUndefined()
  })
})

/** Asks a peer port for a link; the status of its answer. */
const upgrade = (address: string, token: string | undefined, tls?: TlsFiles) =>
  new Promise<number | undefined>((resolve, reject) => {
    const [host, port] = address.split(':')
    const headers = {
      connection: 'upgrade',
      upgrade: 'instatunnel-peer',
      ...(token === undefined ? {} : { [SERVICE_METADATA]: token }),
    }
    const asked = tls
      ? requestTls({ host, port, headers, ...tls, checkServerIdentity: () => undefined })
      : request({ host, port, headers })
    asked.on('response', (answer) => resolve(answer.resume().statusCode))
    asked.on('upgrade', (answer, socket) => {
      socket.destroy()
      resolve(answer.statusCode)
    })
    asked.on('error', reject)
    asked.end()
  })

describe('a peer port', () => {
  it('takes a relay that signs as one', async () => {
    const { address } = await openRelay()
    expect(await upgrade(address, await signAs('relay')('relay'))).toBe(101)
  })

  it.each([
    ['none', async () => undefined],
    ['garbage', async () => 'e30.e30.'],
    ['that of another service', () => signAs('auth')('relay')],
    ['a relay signed for another service', () => signAs('relay')('tunnels')],
    ['signed by somebody else', () => signAs('relay', newKeyPair().privateKey)('relay')],
  ])('refuses whoever has no valid service identity: %s', async (_, tokenOf) => {
    const { address } = await openRelay()
    expect(await upgrade(address, await tokenOf())).toBe(401)
  })

  it('answers nothing else, and closes with whoever lingers', async () => {
    const { address, close } = await openRelay()
    expect((await fetch(`http://${address}/`)).status).toBe(404)
    const [host = '', port] = address.split(':')
    const lingering = connectTcp({ host, port: Number(port), allowHalfOpen: true })
    lingering.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: instatunnel-peer\r\n\r\n')
    await new Promise((resolve) => lingering.once('data', resolve))
    await close()
    lingering.destroy()
  })
})

describe('by mutual TLS', () => {
  it('relays know one another by their certificates', async () => {
    const tls = await certified('DNS:relay')
    const relay = await openRelay({ tls })
    relay.connect().answer('ok')
    const peers = openPeers({ tls: await certified('DNS:relay.west') })
    const asked = ask(await peers.carrier(routeTo(relay.address)))
    await expect.poll(() => asked.said.at(-1)).toBe('data ok end')
  })

  it.each(['DNS:auth', 'DNS:relays', 'DNS:x.relay', ''])(
    'a peer whose certificate names %j is refused, whatever it signs',
    async (names) => {
      const { address } = await openRelay({ tls: await certified('DNS:relay') })
      const token = await signAs('relay')('relay')
      expect(await upgrade(address, token, await certified(names))).toBe(401)
    },
  )

  it.each(['DNS:auth', ''])(
    'a relay whose certificate names %j is not trusted with requests',
    async (names) => {
      const { address } = await openRelay({ tls: await certified(names) })
      const peers = openPeers({ tls: await certified('DNS:relay') })
      expect(await peers.carrier(routeTo(address))).toBeUndefined()
      expect(peers.logged.join()).toContain('names no relay')
    },
  )

  it('who has no certificate of ours, or speaks no TLS, gets no answer', async () => {
    const { address } = await openRelay({ tls: await certified('DNS:relay') })
    const stranger = await makeAuthority()
    onTestFinished(() => stranger.remove())
    const { certFile, keyFile } = await stranger.sign('relay', 'DNS:relay')
    const { ca } = await certified('DNS:relay')
    const [cert, key] = await Promise.all([certFile, keyFile].map((file) => readFile(file)))
    const token = await signAs('relay')('relay')
    await expect(upgrade(address, token, { cert, key, ca } as TlsFiles)).rejects.toThrow()
    await expect(upgrade(address, token, { ca } as TlsFiles)).rejects.toThrow()
    await expect(upgrade(address, token)).rejects.toThrow()
    const other = openPeers({ tls: { cert, key, ca } as TlsFiles })
    expect(await other.carrier(routeTo(address))).toBeUndefined()
  })
})

it('how a connection is told to peers leaves its secrets and expiry out', () => {
  const { connect } = openConnections()
  const credential = { type: 'session', id: 'ses_1', sessionId: 'ses_1', expiresAt: 1 } as const
  expect(routeOf(connect({ credential, agent: 'a' }).connection, 'relay_a')).toEqual({
    tunnelId: 'tun_1',
    userId: 'user_1',
    subdomain: 'docs',
    connectionId: 'conn_1',
    agent: 'a',
    generation: 1,
    relayId: 'relay_a',
    issuedAt: expect.any(Number),
    credential: { type: 'session', id: 'ses_1' },
  })
})
