import { describe, expect, it } from 'vitest'
import {
  credit,
  data,
  type Frame,
  frame,
  headers,
  lastData,
  opening,
  request,
  reset,
  settings,
} from '../../test/http2-frames.ts'
import { RawPeer } from '../../test/raw-http2.ts'
import { type AskedStream, answerOf, greeted, servingHttp2 } from '../../test/serve-http2.ts'
import { type HeaderField, HpackDecoder } from './hpack-decoder.ts'
import { FIRST_WINDOW, frameFlag, frameType, MAX_FRAME_BYTES, MAX_WINDOW, setting } from './protocol.ts'

const { END_STREAM, END_HEADERS, ACK } = frameFlag
const windowOf = (bytes: number) => settings([setting.INITIAL_WINDOW_SIZE, bytes])
const shapeOf = (frames: readonly Frame[]) =>
  frames.map(({ type, flags, id, payload }) => {
    if (type === 'SETTINGS') return flags & ACK ? 'SETTINGS ACK' : 'SETTINGS'
    const end = flags & END_STREAM ? ' END' : ''
    return type === 'DATA' ? `DATA ${id} ${payload.length}${end}` : `${type} ${id}${end}`
  })

/** A peer that was greeted by a server, and says this to it; what comes of it, and what it hears of more. */
async function talk() {
  const server = await servingHttp2()
  const peer = await greeted(server)
  const hears = async (...said: readonly Uint8Array[]) => {
    peer.say(...said)
    return shapeOf(await peer.heard())
  }
  return { server, peer, hears }
}

describe('an answer', () => {
  it('is a head, content in frames of 16,384 at most, and trailers that end it (§8.1)', async () => {
    const { hears } = await talk()
    expect(
      await hears(request(1, `/bytes/${2 * MAX_FRAME_BYTES}`), request(3, `/bytes/${MAX_FRAME_BYTES + 1}`)),
    ).toEqual([
      'HEADERS 1',
      'DATA 1 16384',
      'DATA 1 16384',
      'HEADERS 1 END',
      'HEADERS 3',
      'DATA 3 16384',
      'DATA 3 1',
      'HEADERS 3 END',
    ])
  })

  it('may be nothing but a head, or a head and trailers', async () => {
    const { hears } = await talk()
    expect(await hears(request(1, '/head'))).toEqual(['HEADERS 1 END'])
    expect(await hears(request(3, '/bytes/0'))).toEqual(['HEADERS 3', 'HEADERS 3 END'])
  })

  it('waits where there is no window, but for its head; its trailers come after its content (§6.9)', async () => {
    const { hears } = await talk()
    expect(await hears(windowOf(0), request(1, '/bytes/10'))).toEqual(['SETTINGS ACK', 'HEADERS 1'])
    expect(await hears(credit(1, 4))).toEqual(['DATA 1 4'])
    expect(await hears(credit(1, 5))).toEqual(['DATA 1 5'])
    expect(await hears(credit(1, 1))).toEqual(['DATA 1 1', 'HEADERS 1 END'])
    expect(await hears(credit(1, 100))).toEqual([])
  })

  it('of nothing but a head needs no window', async () => {
    const { hears } = await talk()
    expect(await hears(windowOf(0), request(1, '/head'), request(3, '/bytes/0'))).toEqual([
      'SETTINGS ACK',
      'HEADERS 1 END',
      'HEADERS 3',
      'HEADERS 3 END',
    ])
  })

  it('that fills its window to the last byte ends', async () => {
    const { hears } = await talk()
    const frames = await hears(request(1, `/bytes/${FIRST_WINDOW}`))
    expect(frames.at(-1)).toBe('HEADERS 1 END')
    expect(await hears(request(3, '/bytes/1'))).toEqual(['HEADERS 3'])
    expect(await hears(credit(0, 1))).toEqual(['DATA 3 1', 'HEADERS 3 END'])
  })

  it('goes on by each credit, no further than it goes', async () => {
    const { peer } = await talk()
    peer.say(settings([setting.INITIAL_WINDOW_SIZE, 1000]), request(1, '/bytes/300000'))
    let granted = 1000
    let received = 0
    for (let isEnded = false; !isEnded; ) {
      const answer = RawPeer.answers(await peer.heard()).get(1)
      received += answer?.bytes ?? 0
      isEnded = answer?.isEnded ?? false
      expect(received).toBe(Math.min(granted, 300_000))
      peer.say(credit(1, 7777), credit(0, 7777))
      granted += 7777
    }
    expect(received).toBe(300_000)
  })

  it('that comes later waits for the same windows', async () => {
    const { server, peer, hears } = await talk()
    await hears(windowOf(3), request(1, '/later'))
    server.asked[0]?.answer(answerOf(Buffer.from('late')))
    await peer.until(() => peer.frames.length === 2)
    expect(shapeOf(peer.take())).toEqual(['HEADERS 1', 'DATA 1 3'])
    expect(await hears(credit(1, 1))).toEqual(['DATA 1 1', 'HEADERS 1 END'])
  })

  it('is given once', async () => {
    const { server, peer, hears } = await talk()
    await hears(request(1, '/later'))
    for (const text of ['first', 'second']) server.asked[0]?.answer(answerOf(Buffer.from(text)))
    server.asked[0]?.reset(2)
    await peer.until(() => peer.frames.length >= 3)
    expect(await hears()).toEqual(['HEADERS 1', 'DATA 1 5', 'HEADERS 1 END'])
    await hears(windowOf(0), request(3, '/later'))
    for (const text of ['first', 'second']) server.asked[1]?.answer(answerOf(Buffer.from(text)))
    await peer.until(() => peer.frames.length >= 1)
    expect(await hears(credit(3, 100))).toEqual(['HEADERS 3', 'DATA 3 5', 'HEADERS 3 END'])
  })
})

describe('the windows of streams', () => {
  it('are what the settings say that came before them', async () => {
    const { hears } = await talk()
    await hears(windowOf(2))
    expect(await hears(request(1, '/bytes/5'))).toEqual(['HEADERS 1', 'DATA 1 2'])
  })

  it('grow and shrink by settings, below nothing as well (§6.9.2)', async () => {
    const { hears } = await talk()
    expect(await hears(windowOf(10), request(1, '/bytes/100'))).toEqual([
      'SETTINGS ACK',
      'HEADERS 1',
      'DATA 1 10',
    ])
    // 10 were sent: a window of 3 leaves −7.
    expect(await hears(windowOf(3))).toEqual(['SETTINGS ACK'])
    expect(await hears(credit(1, 7))).toEqual([])
    expect(await hears(credit(1, 1))).toEqual(['DATA 1 1'])
    expect(await hears(windowOf(0), credit(1, 3))).toEqual(['SETTINGS ACK'])
    expect(await hears(windowOf(20))).toEqual(['SETTINGS ACK', 'DATA 1 20'])
    expect(await hears(windowOf(1000))).toEqual(['SETTINGS ACK', 'DATA 1 69', 'HEADERS 1 END'])
  })

  it('change for all that wait, and what waits goes on in order', async () => {
    const { hears } = await talk()
    await hears(windowOf(0), request(1, '/bytes/5'), request(3, '/bytes/6'), request(5, '/bytes/7'))
    expect(await hears(windowOf(6))).toEqual([
      'SETTINGS ACK',
      'DATA 1 5',
      'HEADERS 1 END',
      'DATA 3 6',
      'HEADERS 3 END',
      'DATA 5 6',
    ])
  })

  it('may have room again before the connection has', async () => {
    const { hears } = await talk()
    await hears(request(1, `/bytes/${FIRST_WINDOW}`))
    expect(await hears(windowOf(0), request(3, '/bytes/5'), request(5, '/bytes/6'))).toEqual([
      'SETTINGS ACK',
      'HEADERS 3',
      'HEADERS 5',
    ])
    expect(await hears(windowOf(10))).toEqual(['SETTINGS ACK'])
    expect(await hears(credit(0, 11))).toEqual(['DATA 3 5', 'HEADERS 3 END', 'DATA 5 6', 'HEADERS 5 END'])
  })

  it('are no matter to a stream that is there, but not yet answered', async () => {
    const { hears } = await talk()
    expect(await hears(opening(1), windowOf(0), lastData(1, 'abc'))).toEqual(['SETTINGS ACK', 'HEADERS 1'])
    expect(await hears(credit(1, 3))).toEqual(['DATA 1 3', 'HEADERS 1 END'])
  })

  it('may be as large as there is; one that overflows is its own stream’s fault (§6.9.1)', async () => {
    const { peer, hears } = await talk()
    await hears(request(1, '/later'), request(3, '/later'), credit(1, MAX_WINDOW - FIRST_WINDOW))
    peer.say(credit(1, 1))
    expect(await peer.verdict()).toBe('stream 1: FLOW_CONTROL_ERROR')
    peer.say(credit(3, MAX_WINDOW))
    expect(await peer.verdict()).toBe('stream 3: FLOW_CONTROL_ERROR')
    expect(await hears(request(5))).toEqual(['HEADERS 5', 'HEADERS 5 END'])
  })

  it('that overflow by settings are the connection’s (§6.9.2)', async () => {
    const { peer, hears } = await talk()
    await hears(request(1, '/later'), credit(1, 1))
    peer.say(windowOf(MAX_WINDOW))
    expect(await peer.verdict()).toBe('connection: FLOW_CONTROL_ERROR')
  })
})

describe('the window of the connection', () => {
  it('is shared: what came first goes first, and the rest as it is credited', async () => {
    const { hears } = await talk()
    const first = await hears(
      request(1, `/bytes/${FIRST_WINDOW - 10}`),
      request(3, '/bytes/30'),
      request(5, '/bytes/1'),
    )
    expect(first.slice(-4)).toEqual(['HEADERS 1 END', 'HEADERS 3', 'DATA 3 10', 'HEADERS 5'])
    expect(await hears(credit(3, 100), credit(5, 100))).toEqual([])
    expect(await hears(credit(0, 5))).toEqual(['DATA 3 5'])
    expect(await hears(credit(0, 16))).toEqual(['DATA 3 15', 'HEADERS 3 END', 'DATA 5 1', 'HEADERS 5 END'])
  })

  it('is passed on by a stream that has no window of its own', async () => {
    const { hears } = await talk()
    await hears(request(1, `/bytes/${FIRST_WINDOW}`))
    await hears(
      windowOf(0),
      request(3, '/bytes/9'),
      windowOf(9),
      request(5, '/bytes/9'),
      windowOf(0),
      credit(5, 9),
    )
    expect(await hears(credit(0, 18))).toEqual(['DATA 5 9', 'HEADERS 5 END'])
    expect(await hears(credit(3, 9))).toEqual(['DATA 3 9', 'HEADERS 3 END'])
  })

  it('is shared by hundreds, each of which gets all that is its own', async () => {
    const { peer } = await talk()
    const ids = Array.from({ length: 300 }, (_, index) => 2 * index + 1)
    peer.say(...ids.map((id) => request(id, `/bytes/${1000 + id}`)))
    let frames = await peer.heard()
    while (
      RawPeer.answers(frames).size < 300 ||
      [...RawPeer.answers(frames).values()].some(({ isEnded }) => !isEnded)
    ) {
      peer.say(credit(0, 10_000))
      frames = [...frames, ...(await peer.heard())]
    }
    for (const [id, { bytes }] of RawPeer.answers(frames)) expect(bytes).toBe(1000 + id)
    expect(
      frames.every(({ type, id, payload }) => type !== 'DATA' || payload.every((byte) => byte === id % 256)),
    ).toBe(true)
  })

  it('may be as large as there is, and no larger (§6.9.1)', async () => {
    const { peer, hears } = await talk()
    expect(await hears(credit(0, MAX_WINDOW - FIRST_WINDOW))).toEqual([])
    peer.say(credit(0, 1))
    expect(await peer.verdict()).toBe('connection: FLOW_CONTROL_ERROR')
  })
})

describe('a stream that is broken off', () => {
  it.each([
    ['the peer', (peer: RawPeer) => peer.say(reset(1))],
    ['its taker', (_: RawPeer, stream: AskedStream | undefined) => stream?.reset(8)],
  ])('by %s says nothing more, and leaves its window to others', async (_, breakOff) => {
    const { server, peer, hears } = await talk()
    await hears(windowOf(200_000), request(1, `/bytes/${FIRST_WINDOW + 1000}`), request(3, '/bytes/5'))
    breakOff(peer, server.asked[0])
    await server.until(() => server.asked[0]?.isClosed)
    expect((await hears()).filter((one) => !one.startsWith('RST_STREAM 1'))).toEqual([])
    expect(await hears(credit(1, 5000), credit(0, 5000))).toEqual(['DATA 3 5', 'HEADERS 3 END'])
  })

  it('by what it uploads while its answer waits says nothing more', async () => {
    const { peer, hears } = await talk()
    await hears(windowOf(0), opening(1, '/early', [['content-length', '1']]))
    peer.say(data(1, 'xx'))
    expect(await peer.verdict()).toBe('stream 1: PROTOCOL_ERROR')
    expect(await hears(windowOf(100))).toEqual(['SETTINGS ACK'])
  })
})

describe('a table that the peer makes smaller (RFC 7541 §4.2)', () => {
  const fieldsIn = (decoder: HpackDecoder, { payload }: Frame) => {
    const fields: HeaderField[] = []
    decoder.decode(payload, 0, payload.length, fields)
    return fields
  }

  it.each([0, 100, 4096, 2 ** 32 - 1])('is none in the next block, after the ACK (%i)', async (bytes) => {
    const { peer } = await talk()
    peer.say(settings([setting.HEADER_TABLE_SIZE, bytes]), request(1, '/bytes/3'))
    const [ack, head, , trailers] = (await peer.heard()) as [Frame, Frame, Frame, Frame]
    expect([ack.type, head.type, trailers.type]).toEqual(['SETTINGS', 'HEADERS', 'HEADERS'])
    expect([head.payload[0], trailers.payload[0]]).toEqual([0x20, 0])
    const decoder = new HpackDecoder({ maxTableBytes: 0 })
    expect(fieldsIn(decoder, head)).toEqual([{ name: ':status', value: '200' }])
    expect(fieldsIn(decoder, trailers)).toEqual([{ name: 'done', value: 'yes' }])
  })

  it('is none in the trailers of what is under way', async () => {
    const { peer } = await talk()
    peer.say(windowOf(0), request(1, '/bytes/1'))
    await peer.heard()
    peer.say(settings([setting.HEADER_TABLE_SIZE, 0], [setting.INITIAL_WINDOW_SIZE, 1]))
    const [ack, , trailers] = (await peer.heard()) as [Frame, Frame, Frame]
    expect([ack.type, trailers.type, trailers.payload[0]]).toEqual(['SETTINGS', 'HEADERS', 0x20])
  })
})

describe('a request that was whole', () => {
  it.each([
    ['with its head', [request(1, '/early')]],
    ['with its content', [opening(1), lastData(1, 'x')]],
    ['with trailers', [opening(1), headers(1, [], END_HEADERS | END_STREAM)]],
    ['with nothing more', [opening(1), frame(frameType.DATA, END_STREAM, 1)]],
  ])('%s is not broken off once it is answered (§8.1)', async (_, said) => {
    const { hears } = await talk()
    expect((await hears(...said)).at(-1)).toBe('HEADERS 1 END')
  })
})
