import { describe, expect, it } from 'vitest'
import { framesIn } from '../../test/http2-frames.ts'
import { randomOf } from '../../test/random.ts'
import { createFrameWriter } from './frame-writer.ts'
import { errorCode, MAX_FRAME_BYTES } from './protocol.ts'

/** Takes what is written when it is told to, as a kernel does whose buffers are full; until then it holds the bytes themselves. */
class SlowSink {
  readonly taken: Buffer[] = []
  held: Uint8Array[] = []
  writes = 0

  get writableLength(): number {
    return this.held.reduce((sum, { length }) => sum + length, 0)
  }

  write(bytes: Uint8Array): void {
    this.writes++
    this.held.push(bytes)
  }

  takeAll(): void {
    for (const bytes of this.held.splice(0)) this.taken.push(Buffer.from(bytes))
  }

  all(): Buffer {
    this.takeAll()
    return Buffer.concat(this.taken)
  }
}

/** Takes all at once. */
class QuickSink extends SlowSink {
  override write(bytes: Uint8Array): void {
    super.write(bytes)
    this.takeAll()
  }
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('createFrameWriter', () => {
  it('writes frames as RFC 9113 §6 has them', () => {
    const sink = new QuickSink()
    const writer = createFrameWriter(sink)
    const expected: Buffer[] = []
    const expectNext = (bytes: string) => expected.push(hex(bytes))
    writer.headers(1, Buffer.of(0xaa, 0xbb), false)
    expectNext('000002 01 04 00000001 aabb')
    writer.headers(0x7fffffff, Buffer.of(0xcc), true)
    expectNext('000001 01 05 7fffffff cc')
    writer.data(3, Buffer.of(1, 2, 3, 4), 1, 3)
    expectNext('000002 00 00 00000003 0203')
    writer.data(3, Buffer.of(1, 2), 0, 2)
    expectNext('000002 00 00 00000003 0102')
    writer.data(3, Buffer.alloc(0), 0, 0)
    expectNext('000000 00 00 00000003')
    writer.reset(0x01020304, errorCode.ENHANCE_YOUR_CALM)
    expectNext('000004 03 00 01020304 0000000b')
    writer.settings([
      [0x0102, 0xfffefdfc],
      [3, 1000],
    ])
    expectNext('00000c 04 00 00000000 0102fffefdfc 0003000003e8')
    writer.settings([])
    expectNext('000000 04 00 00000000')
    writer.settingsAck()
    expectNext('000000 04 01 00000000')
    writer.ping(hex('0102030405060708'))
    expectNext('000008 06 00 00000000 0102030405060708')
    writer.pingAck(hex('0102030405060708'))
    expectNext('000008 06 01 00000000 0102030405060708')
    writer.goaway(0x7fffffff, errorCode.NO_ERROR)
    expectNext('000008 07 00 00000000 7fffffff 00000000')
    writer.windowUpdate(5, 0x7fffffff)
    expectNext('000004 08 00 00000005 7fffffff')
    writer.flush()
    expect(sink.all().toString('hex')).toBe(Buffer.concat(expected).toString('hex'))
  })

  it('sends what was written since, in one piece, and nothing where there is nothing', () => {
    const sink = new SlowSink()
    const writer = createFrameWriter(sink)
    writer.flush()
    expect(sink.writes).toBe(0)
    writer.settingsAck()
    writer.settingsAck()
    expect(sink.writes).toBe(0)
    writer.flush()
    writer.flush()
    expect(sink.writes).toBe(1)
    sink.takeAll()
    writer.flush()
    expect(sink.writes).toBe(1)
    writer.settingsAck()
    writer.flush()
    expect(sink.writes).toBe(2)
    expect(sink.all()).toHaveLength(27)
  })

  it('copies what it is given', () => {
    const sink = new SlowSink()
    const writer = createFrameWriter(sink)
    const bytes = Buffer.from('before')
    writer.data(1, bytes, 0, bytes.length)
    bytes.fill('x')
    writer.flush()
    expect(framesIn(sink.all())[0]?.payload.toString()).toBe('before')
  })

  it('sends more than a piece in pieces, each of whole frames', () => {
    const sink = new QuickSink()
    const writer = createFrameWriter(sink)
    const content = Buffer.from(Array.from({ length: MAX_FRAME_BYTES }, (_, index) => index))
    for (let id = 1; id < 40; id += 2) writer.data(id, content, 0, content.length)
    writer.flush()
    expect(sink.writes).toBeGreaterThan(1)
    expect(sink.taken.flatMap(framesIn).map(({ id }) => id)).toEqual(
      Array.from({ length: 20 }, (_, n) => 2 * n + 1),
    )
    expect(sink.taken.flatMap(framesIn).every(({ payload }) => payload.equals(content))).toBe(true)
  })

  it.each([SlowSink, QuickSink])('fills a piece to its last byte, and begins another (%o)', (Sink) => {
    const sink = new Sink()
    const writer = createFrameWriter(sink)
    const content = Buffer.alloc(MAX_FRAME_BYTES - 9, 1)
    for (let count = 0; count < 9; count++) writer.data(1, content, 0, content.length)
    expect(sink.writes).toBe(2)
    writer.flush()
    expect(sink.writes).toBe(3)
    expect(framesIn(sink.all())).toHaveLength(9)
  })

  it.each([1, 2, 3, 4, 5, 6])('never writes over what was not taken yet (%i)', (seed) => {
    const random = randomOf(seed)
    const sink = new SlowSink()
    const writer = createFrameWriter(sink)
    const written: string[] = []
    for (let round = 0; round < 3000; round++) {
      const length = random(10) === 0 ? random(MAX_FRAME_BYTES + 1) : random(200)
      const content = Buffer.alloc(length, String(round))
      writer.data(round, content, 0, length)
      written.push(`${round} ${content.toString()}`)
      if (random(4) === 0) writer.flush()
      const taking = random(9)
      if (taking === 0) sink.takeAll()
      // It is at the oldest that a kernel is at work.
      else if (taking === 1) sink.taken.push(Buffer.from(sink.held.shift() ?? ''))
    }
    writer.flush()
    expect(framesIn(sink.all()).map(({ id, payload }) => `${id} ${payload}`)).toEqual(written)
  })
})
