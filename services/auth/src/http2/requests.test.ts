import { describe, expect, it } from 'vitest'
import {
  asking,
  block,
  codeAt,
  data,
  type Fields,
  frame,
  headers,
  lastData,
  opening,
  request,
  reset,
} from '../../test/http2-frames.ts'
import { RawPeer } from '../../test/raw-http2.ts'
import { type Asked, answerOf, greeted, HEAD, servingHttp2 } from '../../test/serve-http2.ts'
import { frameFlag, frameType, MAX_FRAME_BYTES } from './protocol.ts'
import type { RequestTaker } from './requests.ts'
import { MAX_STREAMS } from './streams.ts'

const { END_STREAM, END_HEADERS } = frameFlag
const length = (bytes: number): Fields => [['content-length', String(bytes)]]
const trailers = (id: number, fields: Fields = []) => headers(id, fields, END_HEADERS | END_STREAM)

/** A peer that was greeted by a server, whose taker is this. */
async function talk(taker: Partial<RequestTaker<Asked>> = {}) {
  const server = await servingHttp2(taker)
  return { server, peer: await greeted(server) }
}

describe('a request', () => {
  it.each([
    ['in its head', [request(1, '/echo', length(0))], ''],
    ['in one frame', [opening(1, '/echo', length(3)), lastData(1, 'abc')], 'abc'],
    ['in frames', [opening(1, '/echo', length(3)), data(1, 'a'), data(1), data(1, 'bc'), lastData(1)], 'abc'],
    ['with trailers', [opening(1, '/echo', length(3)), data(1, 'abc'), trailers(1, [['a', 'b']])], 'abc'],
    ['without saying how long', [opening(1), data(1, 'ab'), lastData(1, 'c')], 'abc'],
  ])('is taken %s', async (_, said, content) => {
    const { server, peer } = await talk()
    peer.say(...said)
    const frames = await peer.heard()
    expect(server.asked[0]?.state).toMatchObject({ isWhole: true, closed: 1 })
    expect(frames.filter(({ type }) => type === 'DATA').map(({ payload }) => String(payload))).toEqual(
      content ? [content] : [],
    )
  })

  it.each([
    ['less than nothing', [headers(1, [...asking(), ['x', 'y '], ['content-length', '1']])]],
    ['less in its head', [request(1, '/later', length(1))]],
    ['less in a frame', [opening(1, '/later', length(3)), lastData(1, 'ab')]],
    ['less before trailers', [opening(1, '/later', length(3)), data(1, 'ab'), trailers(1)]],
    ['nothing before trailers', [opening(1, '/later', length(3)), trailers(1)]],
    ['more in a frame', [opening(1, '/later', length(3)), data(1, 'abcd')]],
    ['more in its last', [opening(1, '/later', length(3)), lastData(1, 'abcd')]],
    ['more in frames', [opening(1, '/later', length(3)), data(1, 'abc'), lastData(1, 'd')]],
    ['something, where it is to be nothing', [opening(1, '/later', length(0)), data(1, 'a')]],
    ['less, though its answer waits for it', [opening(1, '/bytes/70000', length(3)), lastData(1, 'ab')]],
  ])('that says its length and brings %s is malformed (§8.1.1)', async (_, said) => {
    const { server, peer } = await talk()
    peer.say(...said)
    expect(await peer.verdict()).toBe('stream 1: PROTOCOL_ERROR')
    expect(server.asked.map(({ state }) => state?.isWhole)).not.toContain(true)
    peer.say(request(3))
    expect(await peer.verdict()).toBe('nothing')
  })

  it.each([
    ['less', lastData(1, 'ab')],
    ['more', data(1, 'abcd')],
    ['trailers too soon', trailers(1)],
  ])('that was answered already, and brings %s, is no matter', async (_, rest) => {
    const { peer } = await talk()
    peer.say(opening(1, '/early', length(3)))
    expect(await peer.verdict()).toBe('stream 1: NO_ERROR')
    peer.say(rest, request(3))
    expect(await peer.verdict()).toBe('nothing')
  })

  it.each([
    ['in its head', headers(1, asking().slice(1))],
    ['in its head, which is whole', request(1, '/echo', [['X', 'y']])],
    ['in its trailers', Buffer.concat([opening(1), trailers(1, [['X', 'y']])])],
    ['by pseudo fields in its trailers', Buffer.concat([opening(1), trailers(1, [[':path', '/']])])],
    ['by what is of a connection in its trailers', Buffer.concat([opening(1), trailers(1, [['te', 'x']])])],
    ['by a head where trailers are due', Buffer.concat([opening(1), request(1)])],
    ['by trailers that do not end it', Buffer.concat([opening(1), headers(1, [['a', 'b']])])],
  ])('that is malformed %s is broken off, and no other (§8.1.1)', async (_, said) => {
    const { server, peer } = await talk()
    peer.say(said, data(1, 'more'), trailers(1), request(3))
    const frames = await peer.heard()
    expect(
      frames.filter(({ type }) => type === 'RST_STREAM').map(({ id, payload }) => [id, codeAt(payload)]),
    ).toEqual([[1, 'PROTOCOL_ERROR']])
    expect(RawPeer.answers(frames).get(3)).toEqual({ bytes: 0, isEnded: true })
    expect(server.asked.filter(({ state }) => state?.isWhole).map(({ id }) => id)).toEqual([3])
  })

  it('whose list is too long is refused, however many frames it comes in; the table is kept', async () => {
    const { server, peer } = await talk()
    const long = block([...asking(), ['x', 'y'.repeat(40_000)]])
    const kept = Buffer.concat([Buffer.of(0x40), block([['x-kept', '1']]).subarray(1)])
    peer.say(
      frame(frameType.HEADERS, END_STREAM, 1, long.subarray(0, MAX_FRAME_BYTES)),
      frame(frameType.CONTINUATION, 0, 1, long.subarray(MAX_FRAME_BYTES, 2 * MAX_FRAME_BYTES)),
      frame(
        frameType.CONTINUATION,
        END_HEADERS,
        1,
        Buffer.concat([long.subarray(2 * MAX_FRAME_BYTES), kept]),
      ),
    )
    expect(await peer.verdict()).toBe('stream 1: ENHANCE_YOUR_CALM')
    const indexed = Buffer.concat([block(asking()), Buffer.of(0x80 | 62)])
    peer.say(frame(frameType.HEADERS, END_HEADERS | END_STREAM, 3, indexed))
    expect(await peer.verdict()).toBe('nothing')
    expect(server.asked.map(({ id }) => id)).toEqual([3])
  })

  it('is told of in the order in which it comes, and waits only where it goes on', async () => {
    const told: string[] = []
    const tell =
      (name: string) =>
      ({ id }: { id: number }) =>
        void told.push(`${name} ${id}`)
    const { peer } = await talk({
      begun: tell('begun'),
      content: tell('content'),
      waits: tell('waits'),
      closed: tell('closed'),
      whole(stream) {
        tell('whole')(stream)
        if (stream.id === 1) stream.answer({ head: HEAD })
      },
    })
    peer.say(opening(1), lastData(1, 'x'), opening(3), data(3, 'x'), request(5))
    await peer.heard()
    peer.say(data(3, 'y'), reset(5))
    await peer.heard()
    expect(told).toEqual([
      'begun 1',
      'content 1',
      'whole 1',
      'closed 1',
      'begun 3',
      'content 3',
      'begun 5',
      'whole 5',
      'waits 3',
      'waits 5',
      'content 3',
      'closed 5',
    ])
  })

  it('that its taker breaks off hears no more, whatever it is told of at the time', async () => {
    for (const where of ['begun', 'content', 'whole', 'waits'] as const) {
      const { server, peer } = await talk({ [where]: (stream: { reset(code: 8): void }) => stream.reset(8) })
      peer.say(opening(1, '/later'), lastData(1, 'x'))
      expect(await peer.verdict()).toBe('stream 1: CANCEL')
      server.asked[0]?.answer({ head: HEAD })
      expect(await peer.verdict()).toBe('nothing')
    }
  })
})

describe('an early answer', () => {
  it('breaks off the rest of the request, which nobody hears (§8.1)', async () => {
    const { server, peer } = await talk()
    peer.say(opening(1, '/early'), data(1, 'x'))
    const frames = await peer.heard()
    expect(frames.map(({ type }) => type)).toEqual(['HEADERS', 'DATA', 'HEADERS', 'RST_STREAM'])
    expect(codeAt(frames[3]?.payload ?? Buffer.alloc(0))).toBe('NO_ERROR')
    peer.say(
      ...Array.from({ length: 20 }, () => data(1, Buffer.alloc(MAX_FRAME_BYTES))),
      trailers(1),
      reset(1),
    )
    expect(await peer.verdict()).toBe('nothing')
    expect(server.asked[0]?.state).toMatchObject({ pieces: [], isWhole: false, closed: 1 })
  })

  it('may be given to all that there may be at a time, with their uploads on the way', async () => {
    const { server, peer } = await talk()
    const ids = Array.from({ length: MAX_STREAMS }, (_, index) => 2 * index + 1)
    peer.say(...ids.map((id) => opening(id, '/later')))
    await peer.heard()
    for (const stream of server.asked) stream.answer(answerOf(Buffer.from('no')))
    peer.say(...ids.map((id) => data(id, 'x')), ...ids.map((id) => trailers(id)))
    const verdict = await peer.verdict()
    expect(verdict).not.toContain('connection')
    expect(verdict.split(', ')).toHaveLength(MAX_STREAMS)
  })

  it('breaks off nothing where the last of the request is what is answered', async () => {
    const { peer } = await talk({ content: (stream) => stream.answer({ head: HEAD }) })
    peer.say(opening(1), lastData(1, 'x'), request(3, '/later'))
    expect(await peer.verdict()).toBe('nothing')
  })

  it('that waits for room lets the upload go on, and breaks it off once it is given', async () => {
    const { server, peer } = await talk()
    peer.say(opening(1, '/later'))
    await peer.heard()
    server.asked[0]?.answer(answerOf(Buffer.alloc(100_000)))
    peer.say(data(1, 'x'))
    expect(await peer.verdict()).toBe('nothing')
    peer.say(
      frame(frameType.WINDOW_UPDATE, 0, 1, Buffer.of(0, 1, 0, 0)),
      frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.of(0, 1, 0, 0)),
    )
    expect(await peer.verdict()).toBe('stream 1: NO_ERROR')
  })
})

describe('a thousand requests', () => {
  const ids = Array.from({ length: MAX_STREAMS }, (_, index) => 2 * index + 1)

  it('may be under way at a time; one more is refused, until one of them is over (§5.1.2)', async () => {
    const { server, peer } = await talk()
    peer.say(...ids.map((id) => request(id, '/later')))
    expect(await peer.verdict()).toBe('nothing')
    peer.say(request(2001), opening(2003), data(2003, 'x'))
    expect(await peer.verdict()).toBe('stream 2001: REFUSED_STREAM, stream 2003: REFUSED_STREAM')
    expect(server.asked).toHaveLength(MAX_STREAMS)
    peer.say(reset(1), request(2005))
    expect(await peer.verdict()).toBe('nothing')
    server.asked[1]?.answer({ head: HEAD })
    peer.say(request(2007), request(2009, '/later'), request(2011, '/later'), request(2013))
    expect(await peer.verdict()).toBe('stream 2013: REFUSED_STREAM')
  })

  it('are each answered, in whatever order', async () => {
    const { server, peer } = await talk()
    peer.say(...ids.map((id) => request(id, '/later')))
    await peer.heard()
    for (const stream of server.asked.toReversed()) stream.answer(answerOf(Buffer.from(String(stream.id))))
    const ended = () => [...RawPeer.answers(peer.frames).values()].filter(({ isEnded }) => isEnded)
    await peer.until(() => ended().length === MAX_STREAMS)
    for (const { type, id, payload } of peer.frames)
      if (type === 'DATA') expect(String(payload)).toBe(String(id))
  })

  it('may begin and be taken back over and over', async () => {
    const { server, peer } = await talk()
    for (let round = 0; round < 10; round++) {
      peer.say(...ids.flatMap((id) => [opening(id + 2000 * round, '/later'), reset(id + 2000 * round)]))
      expect(await peer.verdict()).toBe('nothing')
    }
    expect(server.asked).toHaveLength(10 * MAX_STREAMS)
    expect(server.asked.every(({ isClosed, state }) => isClosed && state?.closed === 1)).toBe(true)
  })
})
