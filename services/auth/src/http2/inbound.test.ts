import { describe, expect, it } from 'vitest'
import {
  asking,
  block,
  credit,
  data,
  frame,
  goaway,
  headers,
  lastData,
  opening,
  ping,
  pingAck,
  request,
  reset,
  settings,
  uint32,
} from '../../test/http2-frames.ts'
import { GREETING } from '../../test/raw-http2.ts'
import { greeted, servingHttp2, talkingTo } from '../../test/serve-http2.ts'
import { frameFlag, frameType, MAX_FRAME_BYTES, PREFACE, setting } from './protocol.ts'

const { END_STREAM, END_HEADERS, PADDED, PRIORITY, ACK } = frameFlag
const { HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } = frameType

const head = block(asking())
const priority = (id: number, payload: Uint8Array = Buffer.alloc(5)) =>
  frame(frameType.PRIORITY, 0, id, payload)
const continuation = (id: number, payload?: Uint8Array, flags: number = END_HEADERS) =>
  frame(CONTINUATION, flags, id, payload)
const begun = (id: number, payload: Uint8Array = head) => frame(HEADERS, 0, id, payload)
const padded = (length: number, bytes: Uint8Array | string, padding = length) =>
  Buffer.concat([Buffer.of(length), Buffer.from(bytes), Buffer.alloc(padding)])

type Row = readonly [what: string, said: readonly Uint8Array[], verdict: string]

/** Streams that are: open (1), half closed by the peer (3), closed as they were answered (5), reset by the peer (7), and by us (9). */
const states = [opening(1), request(3, '/later'), request(5), opening(7), reset(7), opening(9, '/early')]

const wrong: readonly Row[] = [
  [
    '§4.3 a block that is no HPACK',
    [frame(HEADERS, END_HEADERS, 11, 'ÿÿÿÿÿÿ')],
    'connection: COMPRESSION_ERROR',
  ],
  [
    '§4.3 trailers that are no HPACK',
    [frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.of(0x80))],
    'connection: COMPRESSION_ERROR',
  ],
  ['§5.1 DATA on an idle stream', [data(11, 'x')], 'connection: PROTOCOL_ERROR'],
  ['§5.1 RST_STREAM on an idle stream', [reset(11)], 'connection: PROTOCOL_ERROR'],
  ['§5.1 WINDOW_UPDATE on an idle stream', [credit(11, 1)], 'connection: PROTOCOL_ERROR'],
  ['§5.1 DATA on a half closed stream', [data(3, 'x')], 'stream 3: STREAM_CLOSED'],
  ['§5.1 HEADERS on a half closed stream', [request(3)], 'stream 3: STREAM_CLOSED'],
  ['§5.1 DATA on a closed stream', [data(5, 'x')], 'connection: STREAM_CLOSED'],
  ['§5.1 DATA on a stream that the peer has reset', [data(7, 'x')], 'connection: STREAM_CLOSED'],
  ['§5.1 CONTINUATION on a closed stream', [continuation(5)], 'connection: PROTOCOL_ERROR'],
  [
    '§5.1.1 HEADERS on the last stream, once it is closed',
    [request(11), request(11)],
    'connection: STREAM_CLOSED',
  ],
  ['§5.1.1 HEADERS on a closed stream', [request(5)], 'connection: PROTOCOL_ERROR'],
  [
    '§5.1.1 HEADERS on a stream that was passed over',
    [request(21), request(19)],
    'connection: PROTOCOL_ERROR',
  ],
  ['§5.1.1 HEADERS on a stream of the server', [request(12)], 'connection: PROTOCOL_ERROR'],
  ['§6.1 DATA on no stream', [data(0, 'x')], 'connection: PROTOCOL_ERROR'],
  [
    '§6.1 DATA with more padding than there is',
    [data(1, padded(3, '', 2), PADDED)],
    'connection: PROTOCOL_ERROR',
  ],
  ['§6.1 DATA that is padded by itself', [data(1, Buffer.of(1), PADDED)], 'connection: PROTOCOL_ERROR'],
  ['§6.1 DATA that is padded, of no length', [data(1, '', PADDED)], 'connection: FRAME_SIZE_ERROR'],
  [
    '§4.2 DATA that is too long',
    [data(1, Buffer.alloc(MAX_FRAME_BYTES + 1))],
    'connection: FRAME_SIZE_ERROR',
  ],
  ['§6.2 HEADERS on no stream', [request(0)], 'connection: PROTOCOL_ERROR'],
  [
    '§6.2 HEADERS with more padding than there is',
    [frame(HEADERS, END_HEADERS | PADDED, 11, padded(head.length + 2, head, 1))],
    'connection: PROTOCOL_ERROR',
  ],
  [
    '§6.2 HEADERS with more padding than their priority leaves',
    [frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 11, padded(4, Buffer.alloc(5), 3))],
    'connection: PROTOCOL_ERROR',
  ],
  [
    '§6.2 HEADERS that are padded, of no length',
    [frame(HEADERS, END_HEADERS | PADDED, 11)],
    'connection: FRAME_SIZE_ERROR',
  ],
  [
    '§6.2 HEADERS with half a priority',
    [frame(HEADERS, END_HEADERS | PRIORITY, 11, Buffer.alloc(4))],
    'connection: FRAME_SIZE_ERROR',
  ],
  ['§6.2 HEADERS within HEADERS', [begun(11), request(13)], 'connection: PROTOCOL_ERROR'],
  ['§6.2 HEADERS within HEADERS of the same stream', [begun(11), request(11)], 'connection: PROTOCOL_ERROR'],
  ['§6.2 DATA within HEADERS', [begun(11), data(1, 'x')], 'connection: PROTOCOL_ERROR'],
  ['§6.2 PING within HEADERS', [begun(11), ping('12345678')], 'connection: PROTOCOL_ERROR'],
  ['§6.2 an unknown frame within HEADERS', [begun(11), frame(99, 0, 11)], 'connection: PROTOCOL_ERROR'],
  ['§6.3 PRIORITY on no stream', [priority(0)], 'connection: PROTOCOL_ERROR'],
  ['§6.3 PRIORITY of 4 bytes', [priority(1, Buffer.alloc(4))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.3 PRIORITY of 6 bytes', [priority(1, Buffer.alloc(6))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.4 RST_STREAM on no stream', [reset(0)], 'connection: PROTOCOL_ERROR'],
  ['§6.4 RST_STREAM of 3 bytes', [frame(RST_STREAM, 0, 1, Buffer.alloc(3))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.4 RST_STREAM of 5 bytes', [frame(RST_STREAM, 0, 1, Buffer.alloc(5))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.5 SETTINGS on a stream', [frame(SETTINGS, 0, 1)], 'connection: PROTOCOL_ERROR'],
  ['§6.5 SETTINGS of 5 bytes', [frame(SETTINGS, 0, 0, Buffer.alloc(5))], 'connection: FRAME_SIZE_ERROR'],
  [
    '§6.5 an ACK of SETTINGS that says more',
    [frame(SETTINGS, ACK, 0, Buffer.alloc(6))],
    'connection: FRAME_SIZE_ERROR',
  ],
  ['§6.5.2 ENABLE_PUSH 2', [settings([setting.ENABLE_PUSH, 2])], 'connection: PROTOCOL_ERROR'],
  [
    '§6.5.2 a window of 2^31',
    [settings([setting.INITIAL_WINDOW_SIZE, 2 ** 31])],
    'connection: FLOW_CONTROL_ERROR',
  ],
  ['§6.5.2 frames of 16,383', [settings([setting.MAX_FRAME_SIZE, 16_383])], 'connection: PROTOCOL_ERROR'],
  ['§6.5.2 frames of 2^24', [settings([setting.MAX_FRAME_SIZE, 2 ** 24])], 'connection: PROTOCOL_ERROR'],
  ['§6.6 PUSH_PROMISE', [frame(PUSH_PROMISE, END_HEADERS, 1, uint32(2))], 'connection: PROTOCOL_ERROR'],
  ['§6.7 PING on a stream', [frame(PING, 0, 1, Buffer.alloc(8))], 'connection: PROTOCOL_ERROR'],
  ['§6.7 PING of 7 bytes', [ping(Buffer.alloc(7))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.7 an ACK of PING of 9 bytes', [pingAck(Buffer.alloc(9))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.8 GOAWAY on a stream', [frame(GOAWAY, 0, 1, Buffer.alloc(8))], 'connection: PROTOCOL_ERROR'],
  ['§6.8 GOAWAY of 7 bytes', [frame(GOAWAY, 0, 0, Buffer.alloc(7))], 'connection: FRAME_SIZE_ERROR'],
  ['§6.9 a credit of nothing to a stream', [credit(1, 0)], 'stream 1: PROTOCOL_ERROR'],
  ['§6.9 a credit of nothing to the connection', [credit(0, 0)], 'connection: PROTOCOL_ERROR'],
  [
    '§6.9 WINDOW_UPDATE of 3 bytes',
    [frame(WINDOW_UPDATE, 0, 1, Buffer.alloc(3))],
    'connection: FRAME_SIZE_ERROR',
  ],
  [
    '§6.9 WINDOW_UPDATE of 5 bytes',
    [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(5))],
    'connection: FRAME_SIZE_ERROR',
  ],
  ['§6.9.1 a window of a stream that overflows', [credit(1, 2 ** 31 - 1)], 'stream 1: FLOW_CONTROL_ERROR'],
  [
    '§6.9.1 a window of the connection that overflows',
    [credit(0, 2 ** 31 - 1)],
    'connection: FLOW_CONTROL_ERROR',
  ],
  [
    '§6.9.2 a window of a stream that overflows by SETTINGS',
    [credit(1, 1), settings([setting.INITIAL_WINDOW_SIZE, 2 ** 31 - 1])],
    'connection: FLOW_CONTROL_ERROR',
  ],
  ['§6.10 CONTINUATION of nothing', [continuation(11)], 'connection: PROTOCOL_ERROR'],
  ['§6.10 CONTINUATION after the end', [request(11), continuation(11)], 'connection: PROTOCOL_ERROR'],
  ['§6.10 CONTINUATION of another stream', [begun(11), continuation(13)], 'connection: PROTOCOL_ERROR'],
  ['§6.10 CONTINUATION on no stream', [begun(11), continuation(0)], 'connection: PROTOCOL_ERROR'],
  [
    '§6.10 CONTINUATION without end, of nothing',
    [begun(11), ...Array.from({ length: 32 }, () => continuation(11, Buffer.alloc(0), 0))],
    'connection: ENHANCE_YOUR_CALM',
  ],
  [
    '§6.10 CONTINUATION without end, of fields',
    [begun(11), ...Array.from({ length: 5 }, () => continuation(11, Buffer.alloc(16_000), 0))],
    'connection: ENHANCE_YOUR_CALM',
  ],
  ['§8.1 trailers that do not end', [headers(1, [['a', 'b']])], 'stream 1: PROTOCOL_ERROR'],
]

const right: readonly (readonly [what: string, said: readonly Uint8Array[]])[] = [
  ['§5.1 PRIORITY on an idle stream', [priority(99)]],
  ['§5.1 PRIORITY on a closed stream', [priority(5), priority(7), priority(9)]],
  ['§5.1 WINDOW_UPDATE on closed streams', [credit(5, 1), credit(7, 1), credit(9, 2 ** 31 - 1)]],
  ['§5.1 WINDOW_UPDATE on a half closed stream', [credit(3, 1)]],
  ['§5.1 RST_STREAM on closed streams', [reset(5), reset(7), reset(9)]],
  ['§5.1 RST_STREAM on a half closed stream', [reset(3)]],
  ['§5.1 what crosses our RST_STREAM', [data(9, 'x'), data(9, 'y', PADDED), headers(9, [['a', 'b']], 5)]],
  ['§5.1.1 streams that are passed over', [request(1001), request(2 ** 31 - 1)]],
  ['§5.5 an unknown frame', [frame(10, 255, 0, 'x'), frame(255, 255, 1, 'x'), frame(77, 0, 12)]],
  ['§6.1 padding, and nothing else', [data(1, padded(255, ''), PADDED), data(1, Buffer.of(0), PADDED)]],
  ['§6.1 the longest DATA', [data(1, Buffer.alloc(MAX_FRAME_BYTES))]],
  ['§6.1 flags that DATA does not have', [data(1, 'x', 0xf6)]],
  ['§6.2 trailers', [headers(1, [['a', 'b']], END_HEADERS | END_STREAM)]],
  ['§6.2 trailers of nothing', [headers(1, [], END_HEADERS | END_STREAM)]],
  ['§6.4 RST_STREAM with a code that there is not', [reset(1, 2 ** 32 - 1)]],
  ['§6.5 an ACK of SETTINGS', [frame(SETTINGS, ACK, 0)]],
  ['§6.5.2 settings that there are not', [settings([0, 1], [0xff, 2 ** 32 - 1])]],
  ['§6.7 an ACK of a PING that nobody sent', [pingAck('12345678')]],
  ['§6.8 GOAWAY, with words', [frame(GOAWAY, 0, 0, Buffer.alloc(20))]],
  ['§6.9 the largest window of a stream', [credit(1, 2 ** 31 - 1 - 65_535)]],
  ['§6.9 the largest window of the connection', [credit(0, 2 ** 31 - 1 - 65_535)]],
  ['§6.9 a credit with the reserved bit', [credit(1, 2 ** 31 + 1)]],
  ['§4.1 the reserved bit of a stream', [data(2 ** 31 + 1, 'x')]],
]

describe('createInbound', () => {
  it.each(wrong)('refuses %s', async (_, said, verdict) => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(...states)
    await peer.heard()
    peer.say(...said)
    expect(await peer.verdict()).toBe(verdict)
    if (verdict.startsWith('connection')) {
      await server.until(() => server.closes() === 1)
      return
    }
    peer.say(request(101))
    expect(await peer.verdict()).toBe('nothing')
  })

  it.each(right)('takes %s', async (_, said) => {
    const peer = await greeted(await servingHttp2())
    peer.say(...states)
    await peer.heard()
    peer.say(...said)
    expect(await peer.verdict()).toBe('nothing')
    // And the connection is of use.
    peer.say(ping('fourfour'))
    expect((await peer.heard()).map(({ type, payload }) => [type, payload.toString()])).toContainEqual([
      'PING',
      'fourfour',
    ])
  })

  it.each([
    ['an ACK of them', frame(SETTINGS, ACK, 0)],
    ['a PING', ping('12345678')],
    ['a request', request(1)],
    ['GOAWAY', goaway(0)],
    ['an unknown frame', frame(99, 0, 0)],
  ])('refuses %s before settings (§3.4)', async (_, said) => {
    const peer = await talkingTo(await servingHttp2(), Buffer.concat([PREFACE, said]))
    expect(await peer.verdict()).toBe('connection: PROTOCOL_ERROR')
  })

  it.each([
    ['HEADERS alone', [frame(HEADERS, END_HEADERS | END_STREAM, 1, head)]],
    ['HEADERS with padding', [frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, padded(9, head))]],
    [
      'HEADERS with a priority',
      [frame(HEADERS, END_HEADERS | END_STREAM | PRIORITY, 1, Buffer.concat([Buffer.alloc(5), head]))],
    ],
    [
      'HEADERS with a priority that is of themselves, and padding',
      [
        frame(
          HEADERS,
          END_HEADERS | END_STREAM | PADDED | PRIORITY,
          1,
          padded(255, Buffer.concat([uint32(1), Buffer.of(0), head])),
        ),
      ],
    ],
    ['CONTINUATION', [frame(HEADERS, END_STREAM, 1, head.subarray(0, 3)), continuation(1, head.subarray(3))]],
    [
      'CONTINUATION byte by byte',
      [
        frame(HEADERS, END_STREAM, 1),
        ...Array.from({ length: 30 }, (_, at) => continuation(1, head.subarray(at, at + 1), 0)),
        continuation(1, head.subarray(30)),
      ],
    ],
    [
      'HEADERS with padding, and CONTINUATION',
      [
        frame(HEADERS, END_STREAM | PADDED, 1, padded(9, head.subarray(0, 9))),
        continuation(1, head.subarray(9)),
      ],
    ],
  ])('reads a request in %s (§6.2, §6.10)', async (_, said) => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(...said)
    expect(await peer.verdict()).toBe('nothing')
    expect(server.asked[0]?.head).toMatchObject({ method: 'POST', path: '/echo' })
    expect(server.asked[0]?.state?.isWhole).toBe(true)
  })

  it('gives content without its padding, piece by piece (§6.1)', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(opening(1), data(1, padded(5, 'one '), PADDED), data(1), data(1, 'two '))
    peer.say(data(1, padded(0, 'three'), PADDED | END_STREAM))
    const frames = await peer.heard()
    expect(server.asked[0]?.state?.pieces.map(String)).toEqual(['one ', 'two ', 'three'])
    expect(frames.find(({ type }) => type === 'DATA')?.payload.toString()).toBe('one two three')
  })

  it('answers PING with what it says (§6.7), and SETTINGS with an ACK (§6.5.3), in their order', async () => {
    const peer = await greeted(await servingHttp2())
    peer.say(ping('12345678'), settings(), ping('abcdefgh'))
    expect((await peer.heard()).map(({ type, flags, payload }) => [type, flags, payload.toString()])).toEqual(
      [
        ['PING', ACK, '12345678'],
        ['SETTINGS', ACK, ''],
        ['PING', ACK, 'abcdefgh'],
      ],
    )
  })

  it('credits what it takes, padding too, of a stream and of the connection (§6.9.1)', async () => {
    const peer = await greeted(await servingHttp2())
    const content = Buffer.alloc(MAX_FRAME_BYTES - 256)
    peer.say(opening(1, '/later'))
    let credited = 0
    let sent = 0
    for (let count = 0; count < 100; count++) {
      peer.say(data(1, padded(255, content), PADDED))
      sent += MAX_FRAME_BYTES
      for (const { type, id, payload } of await peer.heard()) {
        expect(type).toBe('WINDOW_UPDATE')
        if (id === 1) credited += payload.readUInt32BE()
      }
      // Whoever has used half of its window never waits for longer than its credit is on its way.
      expect(sent - credited).toBeLessThanOrEqual(128 * 1024)
    }
  })

  it('credits the connection for what comes of streams that are broken off', async () => {
    const peer = await greeted(await servingHttp2())
    let credited = 0
    peer.say(opening(1, '/early'))
    await peer.heard()
    for (let count = 0; count < 100; count++) {
      peer.say(data(1, Buffer.alloc(MAX_FRAME_BYTES)))
      for (const { type, id, payload } of await peer.heard()) {
        expect([type, id]).toEqual(['WINDOW_UPDATE', 0])
        credited += payload.readUInt32BE()
      }
    }
    expect(100 * MAX_FRAME_BYTES - credited).toBeLessThan(512 * 1024)
  })

  it('answers a client that goes away (§6.8)', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(opening(1), request(3, '/later'), goaway(0), lastData(1, 'still here'))
    expect((await peer.heard()).map(({ type, id }) => `${type} ${id}`)).toEqual([
      'HEADERS 1',
      'DATA 1',
      'HEADERS 1',
    ])
    server.asked[1]?.answer({ head })
    expect(await peer.until(() => peer.take()[0])).toMatchObject({ type: 'HEADERS', id: 3 })
  })

  it('reads a conversation byte by byte as it reads it at once', async () => {
    const said = Buffer.concat([GREETING, ...states, data(1, 'x'.repeat(300)), lastData(1, 'y'), request(11)])
    const heardOf = async (pieces: readonly Uint8Array[]) => {
      const peer = await talkingTo(await servingHttp2(), Buffer.alloc(0))
      for (const piece of pieces) peer.say(piece)
      return peer.heard()
    }
    expect(await heardOf(Array.from(said, (byte) => Buffer.of(byte)))).toEqual(await heardOf([said]))
  })
})
