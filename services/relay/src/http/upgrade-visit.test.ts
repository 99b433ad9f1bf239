import { RESET, WINDOW_BYTES } from '@instatunnel/kit/frames'
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

  it.each(['200\nOK\ncontent-length\n0', '302\nFound\nlocation\n/login'])(
    'that is answered with %j is answered 502: the gateway passes nothing else',
    async (head) => {
      const { stream, socket, reset, metered } = await asked()
      const all = allOf(socket)
      stream.head(head, false)
      expect(await all).toMatch(/^HTTP\/1.1 502 [\s\S]*"error":"tunnel_offline"/)
      expect(await reset).toBe(RESET.cancelled)
      expect(metered.requests).toEqual([5])
    },
  )

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
