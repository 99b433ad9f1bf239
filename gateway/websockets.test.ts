import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { switching } from './test/relay.ts'
import { next, told, toldHttp2, visit, visitHttp2 } from './test/visit.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.relay.heard.length = 0
})

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const extended = {
  ':method': 'CONNECT',
  ':protocol': 'websocket',
  ':scheme': 'http',
  ':path': '/chat',
  'sec-websocket-version': '13',
}
const upgrade = (protocol: string) => {
  const asking = { connection: 'Upgrade', upgrade: protocol }
  const headers = { ...asking, 'sec-websocket-key': key, 'sec-websocket-version': '13' }
  return visit(gateway.port, '/chat?a|b', { headers }).end()
}

describe('a visitor’s WebSocket', () => {
  it('is opened by whoever listens, and then both speak as they like', async () => {
    const [answer, socket] = (await once(upgrade('websocket'), 'upgrade')) as [IncomingMessage, Socket]
    expect([answer.statusCode, answer.headers.upgrade]).toEqual([101, 'websocket'])
    for (const said of ['\x81\x02hi', 'anything\0']) {
      socket.write(said, 'latin1')
      expect(await next(socket)).toBe(said)
    }
    socket.destroy()
    expect(gateway.relay.heard).toMatchObject([{ method: 'GET', target: '/chat?a|b' }])
    expect(gateway.relay.heard[0]?.headers).toEqual(expect.arrayContaining(['sec-websocket-key', key]))
  })

  it('is refused by whoever listens', async () => {
    const answering = gateway.relay.upgrade
    gateway.relay.upgrade = (_, socket) =>
      void socket.end('HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\ncontent-length: 2\r\n\r\nno')
    const answer = await told(upgrade('websocket'))
    gateway.relay.upgrade = answering
    expect(answer).toMatchObject({ status: 401, body: 'no' })
    expect(answer.headers).toEqual(expect.arrayContaining(['www-authenticate', 'Basic']))
  })

  it.each([
    ['200 OK', 'content-length: 2', 'ok', 200],
    ['302 Found', 'location: /login\r\ncontent-length: 0', '', 302],
    ['404 Not Found', 'content-length: 2', 'no', 404],
  ])('that is answered %s passes so', async (line, headers, body, status) => {
    const answering = gateway.relay.upgrade
    const meant = status < 400 ? `502 Any\r\nx-instatunnel-status: ${status}` : line
    gateway.relay.upgrade = (_, socket) =>
      void socket.end(`HTTP/1.1 ${meant}\r\nconnection: close\r\n${headers}\r\n\r\n${body}`)
    const answer = await told(upgrade('websocket'))
    const stream = visitHttp2(gateway.port, extended, { endStream: false })
    const head = await toldHttp2(stream, 'response')
    stream.close()
    gateway.relay.upgrade = answering
    expect(answer).toMatchObject({ status, body })
    expect(answer.headers.join()).not.toContain('x-instatunnel')
    // Over HTTP/2 every 2xx would open the WebSocket.
    expect(head).toMatchObject({ ':status': status === 200 ? 502 : status })
    expect(head).not.toHaveProperty('x-instatunnel-status')
  })

  it('comes over HTTP/2 too, with the key that HTTP/1.1 asks for', async () => {
    const answering = gateway.relay.upgrade
    gateway.relay.upgrade = (_, socket) => {
      socket.write(switching('websocket', 'Sec-WebSocket-Accept: x', 'Sec-WebSocket-Protocol: chat'))
      socket.pipe(socket)
    }
    const stream = visitHttp2(gateway.port, extended, { endStream: false })
    const head = await toldHttp2(stream, 'response')
    expect(head).toEqual({ ':status': 200, 'sec-websocket-protocol': 'chat', date: expect.any(String) })
    stream.write('\x81\x02hi', 'latin1')
    expect(await next(stream)).toBe('\x81\x02hi')
    stream.close()
    gateway.relay.upgrade = answering
    const [{ method, target, headers = [] } = {}] = gateway.relay.heard
    expect([method, target]).toEqual(['GET', '/chat'])
    expect(headers).toEqual(expect.arrayContaining(['upgrade', 'websocket']))
    const given = headers[headers.indexOf('sec-websocket-key') + 1] ?? ''
    expect(Buffer.from(given, 'base64')).toHaveLength(16)
  })

  it('is the only upgrade', async () => {
    for (const protocol of ['instatunnel', 'tcp'])
      expect(await told(upgrade(protocol))).toMatchObject({ status: 403 })
    expect(gateway.relay.heard).toEqual([])
  })
})
