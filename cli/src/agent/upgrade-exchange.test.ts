import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import { Link, type LinkStream } from '@instatunnel/kit/link'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { connectedAgent } from '../../test/agents.ts'
import { atRest } from '../../test/at-rest.ts'
import { startHttp, startRaw, unusedPort } from '../../test/local-servers.ts'
import { Visitor } from '../../test/relay-end.ts'
import { LocalServer } from './local-server.ts'
import { openSession } from './session.ts'

const PIECE_BYTES = 64 * 1024
const UPGRADE = ['host', 'a', 'connection', 'upgrade', 'upgrade', 'echo']

/** A local server that switches to a protocol of bytes as they are. */
async function startSwitching(onSocket: (socket: Socket) => void) {
  const { server, port } = await startHttp((_request, response) => response.end())
  server.on('upgrade', (_request, socket: Socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\nX-a: 1\r\n\r\n')
    onSocket(socket)
  })
  return port
}

const upgrade = (agent: { link: ConstructorParameters<typeof Visitor>[0] }, headers = UPGRADE) =>
  new Visitor(agent.link, { headers, body: false })

describe('an upgrade', () => {
  it('passes bytes as they are in both directions, from the first on', async () => {
    const port = await startSwitching((socket) => {
      socket.write('hello ')
      socket.pipe(socket)
    })
    const agent = await connectedAgent(port)
    const visitor = upgrade(agent)
    visitor.stream.send(Buffer.from('early '))
    await expect.poll(() => visitor.body).toBe('hello early ')
    expect(visitor.answer).toBe('101\nSwitching\nconnection\nupgrade\nupgrade\necho\nX-a\n1')
    visitor.stream.send(Buffer.alloc(0))
    visitor.stream.send(Buffer.from([0, 255, 10]))
    await expect.poll(() => visitor.body).toBe('hello early \0\xff\n')
    visitor.stream.end()
    await visitor.over
    expect([visitor.ended, agent.link.size]).toEqual([true, 0])
    const told = agent.events.filter(({ kind }) => kind === 'request')
    expect(told).toMatchObject([{ method: 'GET', path: '/', status: 101 }])
  })

  it('ends each direction by itself', async () => {
    const received: string[] = []
    const port = await startSwitching((socket) => {
      socket.end('all of mine')
      socket.on('data', (chunk) => received.push(String(chunk)))
      socket.on('end', () => received.push('end'))
    })
    const agent = await connectedAgent(port)
    const visitor = upgrade(agent)
    await visitor.over
    expect([visitor.body, visitor.ended]).toEqual(['all of mine', true])
    visitor.stream.send(Buffer.from('still'))
    await expect.poll(() => received).toEqual(['still'])
    visitor.stream.end()
    await expect.poll(() => received).toEqual(['still', 'end'])
    expect(agent.link.size).toBe(0)
  })

  it('is cut off where the local server breaks off, and the other way round', async () => {
    const sockets: Socket[] = []
    const closed: string[] = []
    const port = await startSwitching((socket) => {
      const nth = sockets.push(socket.resume())
      socket.on('close', (isBroken) => closed.push(`${nth} ${isBroken}`))
    })
    const agent = await connectedAgent(port)
    const [cut, leaves] = [upgrade(agent), upgrade(agent)]
    await expect.poll(() => sockets.length).toBe(2)
    await expect.poll(() => [cut.status, leaves.status]).toEqual(['101', '101'])
    sockets[0]?.resetAndDestroy()
    await cut.over
    expect(cut.given?.code).toBe(RESET.local_broken)
    leaves.stream.reset(RESET.cancelled)
    await expect.poll(() => closed).toEqual(['1 false', '2 true'])
  })

  it('carries WebSocket', async () => {
    const { server, port } = await startHttp((_request, response) => response.end())
    const sockets = new WebSocketServer({ server: server as Server })
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)))
    const agent = await connectedAgent(port)
    const visitor = upgrade(agent, [
      ...['host', 'a', 'connection', 'upgrade', 'upgrade', 'websocket'],
      ...['sec-websocket-version', '13', 'sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ])
    await expect.poll(() => visitor.status).toBe('101')
    expect(visitor.headers).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=') // RFC 6455, section 1.3
    visitor.stream.send(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])) // "hi", masked with zeros
    await expect.poll(() => visitor.body).toBe('\x81\x07echo hi')
    visitor.stream.reset(RESET.cancelled)
  })

  it('that is refused is answered as any other request', async () => {
    const { port } = await startHttp((_request, response) => {
      response.writeHead(403, { 'x-a': '1' }).end('not here')
    })
    const agent = await connectedAgent(port)
    const visitor = upgrade(agent)
    visitor.stream.send(Buffer.from('meant for the other protocol'))
    await visitor.over
    expect([visitor.status, visitor.body, visitor.ended]).toEqual(['403', 'not here', true])
    visitor.stream.send(Buffer.from('more'))
    visitor.stream.end()
    await expect.poll(() => agent.link.size).toBe(0)
  })

  it.each([
    ['takes nothing', (stream: LinkStream) => stream.send(Buffer.alloc(WINDOW_BYTES))],
    ['is told the end', (stream: LinkStream) => stream.end()],
  ])('whose local server %s is over at once where its visitor goes', async (_, before) => {
    const sockets: Socket[] = []
    const port = await startSwitching((socket) => sockets.push(socket.pause()))
    const local = new LocalServer(port)
    const [ours, theirs] = duplexPair()
    const unheard = () => {}
    const session = openSession({
      ...{ socket: ours, early: Buffer.alloc(0), local, host: undefined },
      ...{ report: unheard, onLatency: unheard, onFault: unheard },
    })
    const link = new Link(theirs, { onGoaway: unheard, onEnd: unheard })
    onTestFinished(() => session.destroy())
    const visitor = upgrade({ link })
    await expect.poll(() => visitor.status).toBe('101')
    for (let more = 0; more < 8; more++) before(visitor.stream)
    await expect.poll(() => visitor.stream.localEnded || visitor.stream.credit <= 0).toBe(true)
    visitor.stream.reset(RESET.cancelled)
    await expect.poll(() => [session.streams, local.size]).toEqual([0, 0])
  })

  it.each([
    ['goes nowhere', 'HTTP/1.1 101 Go\r\n\r\n'],
    ['is no HTTP', 'no\r\n\r\n'],
    [
      'has a head of more than 64 KiB',
      `HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\na: ${'x'.repeat(65_500)}\r\n\r\n`,
    ],
  ])('whose answer %s is broken', async (_what, answer) => {
    const { port } = await startRaw((socket) => socket.on('data', () => socket.write(answer)))
    const visitor = upgrade(await connectedAgent(port))
    await visitor.over
    expect(visitor).toMatchObject({ answer: undefined, given: { code: RESET.local_broken } })
  })

  it('finds the local server down where it is', async () => {
    const visitor = upgrade(await connectedAgent(await unusedPort()))
    await visitor.over
    expect(visitor.given?.code).toBe(RESET.local_down)
  })

  it.each([
    ['a body of known length', ['content-length', '1']],
    ['a body in chunks', ['transfer-encoding', 'chunked']],
    ['a header that is none', ['a b', 'c']],
  ])('with %s is reset', async (_what, headers) => {
    const port = await startSwitching(() => {})
    const agent = await connectedAgent(port)
    const visitor = upgrade(agent, [...UPGRADE, ...headers])
    await visitor.over
    expect(visitor.given).toEqual({ code: RESET.local_broken, message: 'the request is no HTTP' })
    expect(agent.link.ended).toBe(false)
  })

  // A second's work, and ten times that on a machine that has much else to do.
  it('passes much, only as fast as each side takes it, and every byte', { timeout: 90_000 }, async () => {
    const port = await startSwitching((socket) => socket.pipe(socket))
    const agent = await connectedAgent(port)
    const visitor = upgrade(agent)
    await expect.poll(() => visitor.status).toBe('101')
    visitor.holds = true
    const all = randomBytes(64 * 1024 * 1024)
    let sent = 0
    const sendAll = () => {
      for (let more = true; more && sent < all.length; sent += PIECE_BYTES)
        more = visitor.stream.send(all.subarray(sent, sent + PIECE_BYTES))
    }
    visitor.writable = sendAll
    sendAll()
    await expect.poll(() => visitor.bytes).toBeGreaterThanOrEqual(512 * 1024)
    await atRest(() => sent)
    expect(sent).toBeLessThan(all.length * 0.75)
    visitor.holds = false
    visitor.stream.consumed(visitor.bytes)
    await expect.poll(() => visitor.bytes, { timeout: 60_000 }).toBe(all.length)
    expect(Buffer.concat(visitor.chunks).equals(all)).toBe(true)
    visitor.stream.end()
    await visitor.over
  })
})
