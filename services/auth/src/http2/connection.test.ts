import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  codeAt,
  credit,
  data,
  type Frame,
  goaway,
  lastData,
  opening,
  ping,
  pingAck,
  request,
  reset,
  settings,
} from '../../test/http2-frames.ts'
import { GREETING, RawPeer } from '../../test/raw-http2.ts'
import {
  answerOf,
  greeted,
  HEAD,
  type Http2Serving,
  servingHttp2,
  talkingTo,
} from '../../test/serve-http2.ts'
import {
  ConnectionError,
  errorCode,
  FIRST_WINDOW,
  MAX_STREAM_ID,
  MAX_WINDOW,
  PREFACE,
  setting,
} from './protocol.ts'

const ROOM = [settings([setting.INITIAL_WINDOW_SIZE, MAX_WINDOW]), credit(0, MAX_WINDOW - FIRST_WINDOW)]
const goaways = (frames: readonly Frame[]) =>
  frames
    .filter(({ type }) => type === 'GOAWAY')
    .map(({ payload }) => [payload.readUInt32BE(), codeAt(payload, 4)])
const socketOf = (server: Http2Serving) => {
  const [socket] = server.sockets
  if (!socket) throw new Error('nobody has connected')
  return socket
}

describe('takeConnection', () => {
  it('says first what it takes (§3.4), before the peer says anything', async () => {
    const peer = await talkingTo(await servingHttp2(), Buffer.alloc(0))
    await peer.until(() => peer.frames.length === 2)
    const [first, second] = peer.take() as [Frame, Frame]
    expect([first.type, first.flags, first.id]).toEqual(['SETTINGS', 0, 0])
    expect(first.payload.toString('hex')).toBe('0003000003e8' + '000400040000' + '000600004000')
    expect([second.type, second.id, second.payload.readUInt32BE()]).toEqual([
      'WINDOW_UPDATE',
      0,
      2 ** 20 - 65_535,
    ])
  })

  it.each([
    ['HTTP/1.1', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['TLS', Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01)],
    ['a preface that goes wrong at its end', Buffer.concat([PREFACE.subarray(0, -1), Buffer.of(0)])],
  ])('sends %s away (§3.4)', async (_, said) => {
    const server = await servingHttp2()
    const peer = await talkingTo(server, Buffer.from(said))
    await peer.until(() => peer.isEnded)
    expect(goaways(peer.take())).toEqual([[0, 'PROTOCOL_ERROR']])
    await server.until(() => server.closes() === 1)
    expect(server.errors).toEqual([expect.any(ConnectionError)])
  })

  it('says the last request that it took when it breaks off (§6.8)', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(request(1, '/later'), request(7, '/later'), data(0, 'x'), request(9))
    await peer.until(() => peer.isEnded)
    expect(goaways(peer.take())).toEqual([[7, 'PROTOCOL_ERROR']])
    expect(server.asked.map(({ id, state }) => [id, state?.closed])).toEqual([
      [1, 1],
      [7, 1],
    ])
  })

  it.each(['begun', 'content', 'whole', 'waits'] as const)(
    'ends with INTERNAL_ERROR where its taker throws (%s), and so do all its requests',
    async (where) => {
      const broken = new TypeError('a fault of ours')
      const server = await servingHttp2({
        [where]({ head }: { head: { path: string } }) {
          if (head.path === '/later/throws') throw broken
        },
      })
      const peer = await greeted(server)
      const other = await greeted(server)
      peer.say(request(1, '/later'), opening(3, '/later/throws'), lastData(3, 'x'), request(5, '/later'))
      await peer.until(() => peer.isEnded)
      expect(goaways(peer.take()).map(([, code]) => code)).toEqual(['INTERNAL_ERROR'])
      await server.until(() => server.closes() === 1)
      expect(server.errors).toEqual([broken])
      expect(server.asked.every(({ state }) => state?.closed === 1)).toBe(true)
      expect(await other.verdict()).toBe('nothing')
    },
  )

  it('answers what one piece asks in one piece', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    const before = socketOf(server).bytesWritten
    const pieces: number[] = []
    peer.socket.on('data', ({ length }) => pieces.push(length))
    peer.say(...Array.from({ length: 100 }, (_, index) => request(2 * index + 1, '/bytes/10')))
    await peer.until(() => RawPeer.answers(peer.frames).get(199)?.isEnded)
    expect(pieces).toEqual([socketOf(server).bytesWritten - before])
  })
})

describe('a peer that reads nothing', () => {
  /** The most that the server held for it whenever it stopped reading, and how often that was. */
  function watch(server: Http2Serving) {
    const socket = socketOf(server)
    const seen = { most: 0, pauses: 0 }
    socket.on('pause', () => {
      seen.most = Math.max(seen.most, socket.writableLength)
      seen.pauses++
    })
    return { socket, seen }
  }

  it('is heard no more of its requests than it takes answers; all of them, once it reads', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(...ROOM)
    await peer.heard()
    const { socket, seen } = watch(server)
    const paused = once(socket, 'pause')
    peer.socket.pause()
    let id = 1
    while (seen.pauses === 0) {
      const requests: Buffer[] = []
      for (let count = 0; count < 500; count++, id += 2) requests.push(request(id, '/bytes/1000'))
      const written = new Promise((resolve) => peer.socket.write(Buffer.concat(requests), resolve))
      await Promise.race([paused, written])
    }
    // What came in the piece after which nothing more was read was answered; no more than that.
    expect(seen.most).toBeLessThan(4 * 1024 * 1024)
    peer.socket.resume()
    await peer.until(() => RawPeer.answers(peer.frames.slice(-1)).get(id - 2)?.isEnded)
    const answers = RawPeer.answers(peer.frames)
    expect(answers.size).toBe((id - 1) / 2)
    expect([...answers.values()].every(({ bytes, isEnded }) => bytes === 1000 && isEnded)).toBe(true)
  })

  it('holds up nobody when it leaves', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(...ROOM)
    await peer.heard()
    peer.socket.pause()
    const paused = once(socketOf(server), 'pause')
    peer.say(
      request(1, '/later'),
      ...Array.from({ length: 50 }, (_, n) => request(2 * n + 3, '/bytes/1000000')),
    )
    await paused
    peer.socket.resetAndDestroy()
    await server.until(() => server.closes() === 1)
    expect(server.asked[0]?.state?.closed).toBe(1)
  })
})

describe('close', () => {
  it('ends a connection on which nothing is under way, once the peer has heard (§6.8)', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(request(1))
    await peer.heard()
    server.connections[0]?.close()
    await peer.until(() => peer.frames.length === 2)
    const [first, second] = peer.take() as [Frame, Frame]
    expect(goaways([first])).toEqual([[MAX_STREAM_ID, 'NO_ERROR']])
    expect([second.type, second.flags, second.payload]).toEqual(['PING', 0, Buffer.alloc(8)])
    peer.say(pingAck(second.payload))
    await peer.until(() => peer.isEnded)
    expect(goaways(peer.take())).toEqual([[1, 'NO_ERROR']])
    await server.until(() => server.closes() === 1)
    expect(server.errors).toEqual([])
    // It was not cut: the peer has ended it as well.
    expect(socketOf(server).readableEnded).toBe(true)
  })

  it('answers what was on its way, refuses what is newer, and ends with the last answer', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(request(1, '/later'))
    await peer.heard()
    server.connections[0]?.close()
    peer.say(request(3, '/later'), opening(5, '/later'), pingAck(Buffer.alloc(8)))
    expect(goaways(await peer.heard())).toEqual([
      [MAX_STREAM_ID, 'NO_ERROR'],
      [5, 'NO_ERROR'],
    ])
    peer.say(request(7), opening(9), data(9, 'x'), lastData(5, 'whole'))
    expect(await peer.verdict()).toBe('stream 7: REFUSED_STREAM, stream 9: REFUSED_STREAM')
    expect(server.asked.map(({ id }) => id)).toEqual([1, 3, 5])
    // Whatever it acknowledges, what was refused stays so.
    peer.say(pingAck(Buffer.alloc(8)))
    expect(goaways(await peer.heard())).toEqual([[5, 'NO_ERROR']])
    for (const stream of server.asked.slice(0, 2)) stream.answer(answerOf(Buffer.from('late')))
    expect(await peer.verdict()).toBe('nothing')
    expect(peer.isEnded).toBe(false)
    server.asked[2]?.answer(answerOf(Buffer.alloc(100_000)))
    // It is not given to its end yet.
    expect(await peer.verdict()).toBe('nothing')
    peer.say(credit(5, 100_000), credit(0, 100_000))
    await peer.until(() => peer.isEnded)
    expect(RawPeer.answers(peer.take()).get(5)?.isEnded).toBe(true)
  })

  it.each([
    ['the peer takes back', (peer: RawPeer) => peer.say(reset(1))],
    ['its taker breaks off', (_: RawPeer, server: Http2Serving) => server.asked[0]?.reset(8)],
    ['the peer makes malformed', (peer: RawPeer) => peer.say(data(1, 'too much'))],
  ])('ends with the last request that %s', async (_, end) => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(opening(1, '/later', [['content-length', '1']]))
    await peer.heard()
    server.connections[0]?.close()
    peer.say(pingAck(Buffer.alloc(8)))
    await peer.heard()
    end(peer, server)
    await server.until(() => server.closes() === 1)
  })

  it('says so once', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(request(1, '/later'))
    await peer.heard()
    server.connections[0]?.close()
    server.connections[0]?.close()
    expect((await peer.heard()).map(({ type }) => type)).toEqual(['GOAWAY', 'PING'])
  })

  it('takes no ACK of a PING for its own before it was sent', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(pingAck(Buffer.alloc(8)), request(1))
    expect(RawPeer.answers(await peer.heard()).get(1)?.isEnded).toBe(true)
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a preface', PREFACE.subarray(0, 12)],
  ])('ends a connection at once of which %s has come', async (_, said) => {
    const server = await servingHttp2()
    const peer = await talkingTo(server, said)
    await peer.until(() => peer.frames.length === 2)
    server.connections[0]?.close()
    await peer.until(() => peer.isEnded)
    expect(goaways(peer.take())).toEqual([])
  })

  it('is nothing new to a connection that has ended', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(data(0))
    await server.until(() => server.closes() === 1)
    server.connections[0]?.close()
    server.connections[0]?.destroy()
    expect(server.closes()).toBe(1)
  })

  it('loses nothing that the peer has not read yet, though it goes on to speak', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(...ROOM)
    await peer.heard()
    peer.socket.pause()
    const finished = once(socketOf(server), 'finish')
    peer.say(request(1, '/bytes/1500000'))
    await server.until(() => server.asked[0]?.isClosed)
    server.connections[0]?.close()
    peer.say(pingAck(Buffer.alloc(8)))
    await finished
    await new Promise((resolve) => peer.socket.write(ping('12345678'), resolve))
    peer.socket.resume()
    await peer.until(() => peer.isEnded)
    expect(RawPeer.answers(peer.take()).get(1)).toEqual({ bytes: 1_500_000, isEnded: true })
  })
})

describe('the end of a connection', () => {
  /** A server with a request at each stage, and the peer that asks. */
  async function halfway() {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(
      request(1, '/later'),
      opening(3, '/later'),
      data(3, 'x'),
      request(5, '/bytes/100000'),
      request(7),
      opening(9, '/early'),
      opening(11),
      reset(11),
      opening(13, '/echo', [['content-length', '0']]),
      data(13, 'x'),
    )
    await peer.heard()
    expect(server.asked.filter(({ isClosed }) => !isClosed).map(({ id }) => id)).toEqual([1, 3, 5, 9])
    return { server, peer }
  }

  it.each([
    ['our destroying it', (server: Http2Serving) => server.connections[0]?.destroy()],
    ['a socket that breaks', (server: Http2Serving) => socketOf(server).destroy(new Error('broken'))],
    ['the peer’s end', (_: Http2Serving, peer: RawPeer) => peer.socket.end()],
    [
      'the peer’s end in half a frame',
      (_: Http2Serving, peer: RawPeer) => peer.socket.end(request(15).subarray(0, 5)),
    ],
    ['the peer’s leaving', (_: Http2Serving, peer: RawPeer) => peer.socket.destroy()],
    ['the peer’s reset', (_: Http2Serving, peer: RawPeer) => peer.socket.resetAndDestroy()],
    ['the peer’s fault', (_: Http2Serving, peer: RawPeer) => peer.say(data(0))],
    ['the peer’s GOAWAY and end', (_: Http2Serving, peer: RawPeer) => peer.socket.end(goaway(0))],
  ])('by %s ends each of its requests once, and answers nothing', async (_, end) => {
    const { server, peer } = await halfway()
    end(server, peer)
    await server.until(() => server.closes() === 1)
    expect(server.asked.map(({ state }) => state?.closed)).toEqual([1, 1, 1, 1, 1, 1, 1])
    for (const stream of server.asked) {
      stream.answer({ head: HEAD })
      stream.reset(errorCode.CANCEL)
    }
    expect(server.asked.every(({ isClosed }) => isClosed)).toBe(true)
  })

  it('comes to a peer that hears that it is ended, speaks on unheard, and never ends itself', async () => {
    const server = await servingHttp2()
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    socket.resume()
    socket.write(Buffer.concat([GREETING, data(0)]))
    await once(socket, 'end')
    socket.write(Buffer.concat([request(1), data(0)]))
    await server.until(() => server.closes() === 1)
    expect([server.errors.length, server.asked.length]).toEqual([1, 0])
    socket.destroy()
  })
})
