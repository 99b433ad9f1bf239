import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { END, FRAME, MAX_DATA_BYTES, WINDOW_BYTES } from '@instatunnel/kit/frames'
import { afterEach, describe, expect, it } from 'vitest'
import { type Carrying, startCarrying, until } from '../../test/carrying.ts'

let carrying: Carrying | undefined
afterEach(() => carrying?.close())

/** A frame's eight bytes. */
function frame(type: number, stream: number, length: number): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(((type << 24) | length) >>> 0)
  head.writeUInt32BE(stream, 4)
  return head
}

const cutOff = (socket: Duplex) => new Promise((resolve) => socket.on('close', resolve).on('error', () => {}))

/** One agent that behaves, and another whose socket the test has. */
async function twoAgents() {
  carrying = await startCarrying()
  const good = await carrying.agent()
  const hostile = await carrying.agent()
  // It may be closed 200 ms later, as it has nothing to do: nothing is waited for until then.
  carrying.connections.retire((each) => each === hostile.connection, 'leaving')
  return { carrying, hostile: hostile.socket, good }
}

/** Asks for a page, as a visitor of the other agent's. */
async function visit({ carrying, good }: Awaited<ReturnType<typeof twoAgents>>): Promise<void> {
  const socket = await carrying.visitor()
  socket.write('GET / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n')
  ;(await good.next()).stream.head('200\nOK\ncontent-length\n0', true)
  expect(await until(socket, '\r\n\r\n')).toContain('HTTP/1.1 200 OK')
  socket.destroy()
}

describe('an agent that breaks the protocol is cut off, and no other notices', () => {
  it.each<[string, Buffer]>([
    ['garbage', Buffer.concat([Buffer.from([0x7f]), randomBytes(4096)])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n')],
    ['a stream of its own', Buffer.concat([frame(FRAME.open, 1, 3), Buffer.from('GET')])],
    ['a head that is too long', frame(FRAME.head, 1, 64 * 1024 + 1)],
    ['data that is too long', frame(FRAME.data, 1, MAX_DATA_BYTES + 1)],
    ['an answer to what nobody asked', frame(FRAME.head | END, 1, 0)],
    ['an endless reason to go', frame(FRAME.goaway, 0, 1_000_000)],
  ])('with %s', async (_, bytes) => {
    const all = await twoAgents()
    const over = cutOff(all.hostile)
    all.hostile.write(bytes)
    all.hostile.resume()
    await over
    await visit(all)
  })

  it('with data for which it was given no credit', async () => {
    carrying = await startCarrying()
    const hostile = await carrying.agent()
    const socket = await carrying.visitor()
    socket.pause() // a visitor that reads nothing
    socket.write('GET / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n')
    const { stream } = await hostile.next()
    const over = cutOff(hostile.socket)
    hostile.socket.write(Buffer.concat([frame(FRAME.head, stream.id, 6), Buffer.from('200\nOK')]))
    const piece = Buffer.concat([frame(FRAME.data, stream.id, MAX_DATA_BYTES), Buffer.alloc(MAX_DATA_BYTES)])
    // Sockets of a machine take some MiB before a visitor that does not read holds anything up.
    for (let sent = 0; sent < 64 * 1024 * 1024 + WINDOW_BYTES; sent += MAX_DATA_BYTES)
      hostile.socket.write(piece)
    await over
    socket.destroy()
  })

  it('with more credit than there is', async () => {
    carrying = await startCarrying()
    const hostile = await carrying.agent()
    const socket = await carrying.visitor()
    socket.write('GET / HTTP/1.1\r\nHost: docs.example.com\r\n\r\n')
    const { stream } = await hostile.next()
    const over = cutOff(hostile.socket)
    hostile.socket.write(Buffer.concat([frame(FRAME.window, stream.id, 4), Buffer.from([0, 0, 0, 1])]))
    await over
    socket.destroy()
  })
})
