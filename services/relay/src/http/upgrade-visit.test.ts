import { RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
import type { LinkStream } from '@instatunnel/kit/link'
import { afterEach, describe, expect, it } from 'vitest'
import { allOf, type Carrying, type PlayedAgent, startCarrying, until } from '../../test/carrying.ts'

let carrying: Carrying | undefined
afterEach(() => carrying?.close())

const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: docs.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n'

/** A visitor that asks to switch, and what its agent got. */
async function asked(early = '', options: Parameters<typeof startCarrying>[0] = {}) {
  carrying = await startCarrying(options)
  const played: PlayedAgent = await carrying.agent()
  const socket = await carrying.visitor()
  socket.write(UPGRADE + early)
  return { metered: carrying.metered, socket, played, ...(await played.next()) }
}

const SWITCHED = '101\nSwitching Protocols\nConnection\nUpgrade\nUpgrade\nwebsocket\nSec-WebSocket-Accept\na'

describe('an upgrade', () => {
  it('passes bytes both ways once the local server has switched, what came early too', async () => {
    const { stream, lines, chunks, complete, socket, metered } = await asked('early')
    expect(lines.join('\n')).toContain('\nconnection\nupgrade\nupgrade\nwebsocket\n')
    expect(chunks).toEqual([])
    stream.head(SWITCHED, false)
    expect(await until(socket, '\r\n\r\n')).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n',
    )
    stream.send(Buffer.from('from there'))
    await until(socket, 'from there')
    socket.end(' and late')
    await complete
    expect(Buffer.concat(chunks).toString()).toBe('early and late')
    // The visitor's side is closed, the other is not.
    const rest = until(socket, 'the last')
    stream.send(Buffer.from('the last'), true)
    await rest
    expect(metered).toEqual({ requests: [1], bytesIn: 14, bytesOut: 18 })
  })

  it('that the local server refuses is answered with its answer, and ends', async () => {
    const { stream, socket } = await asked()
    const all = allOf(socket)
    stream.head('403\nForbidden\ncontent-length\n2\nx-why\nno', false)
    stream.send(Buffer.from('no'), true)
    expect(await all).toMatch(
      /^HTTP\/1.1 403 Forbidden\r\nx-why: no\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno$/,
    )
  })

  it.each([
    ['200', '200\nOK\ncontent-length\n2', 'ok', 2],
    ['302', '302\nFound\nlocation\n/login\ncontent-length\n0', '', 3],
  ])(
    'that is answered with %s passes so, its status told apart: the gateway takes no such answer',
    async (status, head, body, statusClass) => {
      const { stream, socket, metered, played } = await asked()
      const all = allOf(socket)
      stream.head(head, body === '')
      if (body !== '') stream.send(Buffer.from(body), true)
      const text = await all
      expect(text).toMatch(/^HTTP\/1.1 502 /)
      expect(text).toContain(`\r\nx-instatunnel-status: ${status}\r\n`)
      expect(text.endsWith(`\r\n\r\n${body}`)).toBe(true)
      expect(metered.requests).toEqual([statusClass])
      await expect.poll(() => [played.connection.link.size, played.link.size]).toEqual([0, 0])
    },
  )

  it.each<[string, (stream: LinkStream) => void]>([
    ['without a body', (stream) => stream.head('401\nUnauthorized\ncontent-length\n0', true)],
    [
      'with a body',
      (stream) => {
        stream.head('403\nForbidden\ncontent-length\n2', false)
        stream.send(Buffer.from('no'), true)
      },
    ],
    [
      'with trailers',
      (stream) => {
        stream.head('400\nBad Request', false)
        stream.send(Buffer.from('no'))
        stream.trailers('x-a\n1')
      },
    ],
  ])('that is refused %s is over on both sides', async (_, refuse) => {
    const { stream, socket, played } = await asked('sent too early')
    const all = allOf(socket)
    refuse(stream)
    await all
    await expect.poll(() => [played.connection.link.size, played.link.size]).toEqual([0, 0])
  })

  it('that is answered with another protocol than was asked for is 502', async () => {
    const { stream, socket, reset } = await asked()
    stream.head('101\nSwitching Protocols\nConnection\nUpgrade\nUpgrade\nh2c', false)
    expect(await allOf(socket)).toMatch(/^HTTP\/1.1 502 /)
    expect(await reset).toBe(RESET.cancelled)
  })

  it.each([
    ['a switch with a control character in its reason', SWITCHED.replace('Switching', 'Sw\x01')],
    ['a switch with one in a header', `${SWITCHED}\x01`],
    ['a refusal with one in its reason', '404\nN\x01'],
    ['a refusal with one in a header', '404\nNot Found\nx-a\n1\x7f'],
    ['an answer of 204 with one in a header', '204\nNo Content\nx-a\n1\x7f'],
  ])('that is answered by %s is 502, whole', async (_, head) => {
    const { stream, socket, reset, metered } = await asked()
    const all = allOf(socket)
    stream.head(head, false)
    const [answer = '', body = ''] = (await all).split('\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/)
    expect(JSON.parse(body)).toMatchObject({ error: 'tunnel_offline' })
    expect([await reset, metered.requests]).toEqual([RESET.cancelled, [5]])
  })

  it.each(['Content-Length: 5', 'Transfer-Encoding: chunked'])(
    'that has a body (%s) is refused, and reaches no agent',
    async (header) => {
      carrying = await startCarrying()
      const played = await carrying.agent()
      const socket = await carrying.visitor()
      socket.write(UPGRADE.replace('\r\n\r\n', `\r\n${header}\r\n\r\n`))
      expect(await allOf(socket)).toMatch(/^HTTP\/1.1 400 [\s\S]*"message":"The request is not valid HTTP."/)
      expect(played.link.size).toBe(0)
    },
  )

  it('whose visitor ends its side, or leaves, before it is answered is given up', async () => {
    const { socket, reset } = await asked('sent too early')
    socket.end()
    expect(await reset).toBe(RESET.cancelled)
  })

  it('whose visitor has ended its side is given up once the other side is at rest', async () => {
    const { stream, socket, complete, reset } = await asked('', { lingerMs: 100 })
    stream.head(SWITCHED, false)
    await until(socket, '\r\n\r\n')
    socket.end()
    await complete
    expect(await reset).toBe(RESET.cancelled)
  })

  it('is counted apart from requests, and past its own limit answered 503', async () => {
    const { socket, stream, played } = await asked('', { maxRequests: 1, maxWebSockets: 1 })
    stream.head(SWITCHED, false)
    await until(socket, '\r\n\r\n')
    const { visitor } = carrying as Carrying
    const [another, request] = [await visitor(), await visitor()]
    another.write(UPGRADE)
    expect(await until(another, '}')).toMatch(/^HTTP\/1.1 503 [\s\S]*"code":5003/)
    request.write('GET / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n')
    const { stream: asking } = await played.next()
    asking.head('204\nNo Content', true)
    await until(request, 'HTTP/1.1 204 ')
    for (const each of [socket, another, request]) each.destroy()
  })

  it('whose agent goes before it has answered is asked of another', async () => {
    const { socket, played } = await asked()
    const second = await (carrying as Carrying).agent()
    played.socket.destroy()
    ;(await second.next()).stream.head(SWITCHED, false)
    await until(socket, 'HTTP/1.1 101 Switching Protocols\r\n')
    socket.destroy()
  })

  it('of which nobody takes what the visitor sends is given up in time, as its end cannot be seen', async () => {
    const upgrade = await asked('', { responseTimeoutMs: 100 })
    upgrade.stream.head(SWITCHED, false)
    await until(upgrade.socket, '\r\n\r\n')
    upgrade.stream.sink = { ...upgrade.stream.sink, data: () => {} } // it gives no credit
    const all = allOf(upgrade.socket)
    upgrade.socket.write(Buffer.alloc(4 * WINDOW_BYTES))
    expect(await upgrade.reset).toBe(RESET.too_slow)
    await all
  })

  it('that nobody takes is answered 502', async () => {
    const { stream, socket } = await asked()
    const all = allOf(socket)
    stream.reset(RESET.local_down)
    expect(await all).toMatch(/^HTTP\/1.1 502 /)
  })

  it('ends on both sides when either goes', async () => {
    const first = await asked()
    first.stream.head(SWITCHED, false)
    await until(first.socket, '\r\n\r\n')
    first.socket.resetAndDestroy()
    expect(await first.reset).toBe(RESET.cancelled)
    await carrying?.close()

    const second = await asked()
    second.stream.head(SWITCHED, false)
    await until(second.socket, '\r\n\r\n')
    const all = allOf(second.socket)
    second.played.socket.destroy()
    await all
  })

  it.each([
    ['a line break in a value', '101\nS\nupgrade\nwebsocket\nx-a\n1\r\nx-b: 2'],
    ['a line break in the protocol', '101\nS\nupgrade\nweb\r\nx: y'],
    ['a line break in the reason', '101\nS\r\nx: y\nupgrade\nwebsocket'],
    ['a space in a name', '101\nS\nupgrade\nwebsocket\nx a\n1'],
  ])('with %s is answered 502', async (_, head) => {
    const { stream, socket } = await asked()
    const all = allOf(socket)
    stream.head(head, false)
    expect(await all).toMatch(/^HTTP\/1.1 502 /)
  })
})
