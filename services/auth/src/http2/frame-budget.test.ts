import { describe, expect, it } from 'vitest'
import {
  credit,
  data,
  type Frame,
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
} from '../../test/http2-frames.ts'
import { RawPeer } from '../../test/raw-http2.ts'
import { type AskedStream, answerOf, greeted, servingHttp2 } from '../../test/serve-http2.ts'
import { FrameBudget, MOST_FREE_FRAMES } from './frame-budget.ts'
import { errorCode, frameFlag, frameType, MAX_WINDOW, setting } from './protocol.ts'
import { MAX_STREAMS, MAX_WORKING } from './streams.ts'

const CUT_OFF = 'connection: ENHANCE_YOUR_CALM'
const calm = expect.objectContaining({ name: 'ConnectionError', code: errorCode.ENHANCE_YOUR_CALM })
const firstWindow = (bytes: number) => settings([setting.INITIAL_WINDOW_SIZE, bytes])
const times = (count: number, ...frames: readonly Buffer[]) =>
  Array.from({ length: count }, () => Buffer.concat(frames))
/** The ids of so many requests. */
const idsOf = (count: number) => Array.from({ length: count }, (_, index) => 2 * index + 1)

/** Counts how often the windows of these streams are looked at. */
function countLooks(streams: readonly AskedStream[]) {
  const seen = { looks: 0 }
  for (const stream of streams) {
    let { sendCredit } = stream
    Object.defineProperty(stream, 'sendCredit', {
      get() {
        seen.looks++
        return sendCredit
      },
      set(value: number) {
        sendCredit = value
      },
    })
  }
  return seen
}

describe('FrameBudget', () => {
  it('is spent by work that nobody asked for, and earned by requests and by time', () => {
    let now = 0
    const budget = new FrameBudget(() => now)
    budget.spend(MOST_FREE_FRAMES)
    expect(() => budget.spend(1)).toThrow(calm)
    now += 1000
    budget.spend(99)
    expect(() => budget.spend(1)).toThrow(calm)
    for (let count = 0; count < 10; count++) budget.earn()
    budget.spend(150)
    expect(() => budget.spend(20)).toThrow(calm)
  })

  it('holds no more for one that has long been silent', () => {
    let now = 0
    const budget = new FrameBudget(() => now)
    for (let count = 0; count < 10_000; count++) budget.earn()
    now += 1e9
    expect(() => budget.spend(2 * MOST_FREE_FRAMES + 1)).toThrow(calm)
  })
})

describe('a peer', () => {
  it.each<[string, readonly Buffer[]]>([
    ['SETTINGS', [settings()]],
    ['SETTINGS that flip the first window', [firstWindow(0), firstWindow(100)]],
    ['SETTINGS that flip the table', [settings([setting.HEADER_TABLE_SIZE, 0])]],
    ['ACKs of SETTINGS', [frame(frameType.SETTINGS, frameFlag.ACK, 0)]],
    ['PINGs', [ping('12345678')]],
    ['ACKs of PINGs', [pingAck('12345678')]],
    ['PRIORITY', [frame(frameType.PRIORITY, 0, 1, Buffer.alloc(5))]],
    ['credits of the connection', [credit(0, 1)]],
    ['credits of a stream', [credit(1, 1)]],
    ['credits of a stream that has ended', [credit(3, 1)]],
    ['empty DATA', [data(1)]],
    ['resets of a stream that has ended', [reset(3)]],
    ['HEADERS of a stream that was broken off', [headers(5, [['a', 'b']])]],
    ['GOAWAY', [goaway(0)]],
    ['frames of no known type', [frame(99, 0, 0)]],
  ])('that sends nothing but %s is cut off', async (_, said) => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(opening(1, '/later'), request(3), opening(5, '/early'))
    await peer.heard()
    peer.say(...times(MOST_FREE_FRAMES - 100, ...said.slice(0, 1)))
    expect(await peer.verdict()).toBe('nothing')
    peer.say(...times(5000, ...said))
    expect(await peer.verdict()).toBe(CUT_OFF)
  })

  it('that begins request after request that are malformed is cut off', async () => {
    const peer = await greeted(await servingHttp2())
    peer.say(...idsOf(MOST_FREE_FRAMES + 5000).map((id) => headers(id, [['a', 'b']])))
    expect((await peer.verdict()).endsWith(CUT_OFF)).toBe(true)
  })

  it('that asks may say all that belongs to a request, again and again', async () => {
    const peer = await greeted(await servingHttp2())
    for (let round = 0; round < 5; round++) {
      const ids = idsOf(1000).map((id) => id + 2000 * round)
      peer.say(
        ...ids.flatMap((id) => [
          opening(id, '/later'),
          data(id),
          credit(id, 1000),
          lastData(id, 'x'),
          credit(0, 1000),
          ping('12345678'),
          reset(id),
          reset(id),
        ]),
      )
      expect(await peer.verdict()).toBe('nothing')
    }
  })
})

describe('SETTINGS that flip the first window', () => {
  it('cost the same however many streams are open', async () => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(...idsOf(MAX_STREAMS).map((id) => request(id, '/later')))
    await peer.heard()
    const seen = countLooks(server.asked)
    peer.say(...times(1000, firstWindow(0), firstWindow(MAX_WINDOW)))
    expect(await peer.verdict()).toBe('nothing')
    expect(seen.looks).toBe(0)
  })

  it.each([
    ['by turns', firstWindow(0)],
    ['with nearly all that a stream may be credited', Buffer.concat([firstWindow(0), credit(1, 2 ** 30)])],
  ])('%s, with an answer that waits on each stream, are soon cut off', async (_, shut) => {
    const server = await servingHttp2()
    const peer = await greeted(server)
    peer.say(firstWindow(0), ...idsOf(MAX_STREAMS).map((id) => request(id, '/later')))
    await peer.heard()
    for (const stream of server.asked) stream.answer(answerOf(Buffer.alloc(1000)))
    const seen = countLooks(server.asked)
    let verdict = 'nothing'
    let frames: Frame[] = []
    for (let bytes = 1; verdict === 'nothing' && bytes < 1000; bytes++) {
      peer.say(firstWindow(bytes))
      frames = [...frames, ...(await peer.heard())]
      peer.say(shut)
      verdict = await peer.verdict()
      if (peer.isEnded) verdict = CUT_OFF
    }
    expect(peer.isEnded).toBe(true)
    expect(seen.looks).toBeLessThan(10 * (MOST_FREE_FRAMES + 16 * MAX_STREAMS))
    expect(RawPeer.answers(frames).size).toBe(MAX_STREAMS)
  })
})

describe('requests that are taken back', () => {
  it('count as long as they are worked on; others are taken once that is over', async () => {
    const work = Promise.withResolvers<void>()
    const server = await servingHttp2({
      whole(stream) {
        if (stream.state && stream.head.path === '/later') stream.state.work = work.promise
        else stream.answer(answerOf(Buffer.from('x')))
        return undefined
      },
    })
    const peer = await greeted(server)
    peer.say(...idsOf(MAX_WORKING).flatMap((id) => [request(id, '/later'), reset(id)]))
    expect(await peer.verdict()).toBe('nothing')
    const next = 2 * MAX_WORKING + 1
    peer.say(request(next, '/later'), reset(next))
    expect(await peer.verdict()).toBe(`stream ${next}: REFUSED_STREAM`)
    expect(server.asked).toHaveLength(MAX_WORKING)
    work.resolve()
    await peer.heard()
    peer.say(request(next + 2))
    expect(RawPeer.answers(await peer.heard()).get(next + 2)?.isEnded).toBe(true)
  })
})
