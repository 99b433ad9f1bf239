import { describe, expect, it } from 'vitest'
import { END, FRAME, FrameReader, FrameWriter, MAX_DATA_BYTES, MAX_HEAD_BYTES } from './frames.ts'

/** What a reader tells, data gathered by frame: one line each. */
function reading() {
  const told: string[] = []
  let piece = ''
  const reader = new FrameReader({
    data: (stream, chunk, end) => {
      piece += chunk.toString('latin1')
      if (end) told.push(`data ${stream} ${piece} end`)
      if (end) piece = ''
    },
    frame: (type, stream, payload, end) =>
      told.push(`${type} ${stream} ${payload.toString('latin1')}${end ? ' end' : ''}`),
  })
  return { reader, told }
}

/** A frame, byte by byte, as another implementation would write it. */
const rawFrame = (first: number, length: number, stream: number, payload = '') =>
  Buffer.concat([
    Buffer.from([first, length >> 16, (length >> 8) & 0xff, length & 0xff]),
    Buffer.from([stream >>> 24, (stream >> 16) & 0xff, (stream >> 8) & 0xff, stream & 0xff]),
    Buffer.from(payload, 'latin1'),
  ])

const written = (writer: FrameWriter) => Buffer.concat(writer.take())

describe('frames', () => {
  it('are eight bytes of head, type, length and stream, and a payload', () => {
    const writer = new FrameWriter()
    writer.text(FRAME.open, 7, 'GET\n/\nhost\na.b', true)
    writer.data(0x01020304, Buffer.from('piece'), false)
    writer.window(7, 0x00080000)
    writer.bytes(FRAME.goaway, 0, Buffer.from('draining'))
    expect(written(writer)).toEqual(
      Buffer.concat([
        rawFrame(FRAME.open | END, 14, 7, 'GET\n/\nhost\na.b'),
        rawFrame(FRAME.data, 5, 0x01020304, 'piece'),
        rawFrame(FRAME.window, 4, 7, '\0\x08\0\0'),
        rawFrame(FRAME.goaway, 8, 0, 'draining'),
      ]),
    )
  })

  it('are read the same wherever the bytes are split', () => {
    const writer = new FrameWriter()
    writer.text(FRAME.open, 1, 'POST\n/\nname\n\xe9', false)
    writer.data(1, Buffer.from('some'), false)
    writer.data(1, Buffer.from(' data'), true)
    writer.data(2, Buffer.alloc(0), true)
    writer.text(FRAME.trailers, 3, 'a\nb', true)
    writer.bytes(FRAME.ping, 0, Buffer.from('12345678'), true)
    writer.bytes(FRAME.goaway, 0, Buffer.alloc(0))
    const bytes = written(writer)
    const whole = [
      '1 1 POST\n/\nname\n\xe9',
      'data 1 some data end',
      'data 2  end',
      '4 3 a\nb end',
      '7 0 12345678 end',
      '8 0 ',
    ]
    for (let first = 0; first <= bytes.length; first++) {
      for (const second of [first, first + 1, bytes.length - 1]) {
        const { reader, told } = reading()
        for (const part of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)])
          if (second >= first) reader.read(part)
        if (second >= first) expect(told).toEqual(whole)
      }
    }
    const { reader, told } = reading()
    for (const byte of bytes) reader.read(Buffer.of(byte))
    expect(told).toEqual(whole)
  })

  it('hand data on as it arrives, and say the end with the last piece only', () => {
    const pieces: [string, boolean][] = []
    const reader = new FrameReader({
      data: (_stream, chunk, end) => pieces.push([chunk.toString(), end]),
      frame: () => {},
    })
    reader.read(rawFrame(FRAME.data | END, 6, 1, 'abc'))
    reader.read(Buffer.from('de'))
    reader.read(Buffer.from('f'))
    expect(pieces).toEqual([
      ['abc', false],
      ['de', false],
      ['f', true],
    ])
  })

  it.each([0, 9, 10, 0x7f])('of type %i there are none', (type) => {
    for (const flag of [0, END])
      expect(() => reading().reader.read(rawFrame(type | flag, 0, 1))).toThrow(
        expect.objectContaining({ name: 'FrameError', message: `no frame has type ${type}` }),
      )
  })

  it.each([
    ['open', MAX_HEAD_BYTES],
    ['head', MAX_HEAD_BYTES],
    ['data', MAX_DATA_BYTES],
    ['trailers', MAX_HEAD_BYTES],
    ['reset', 256],
    ['window', 4],
    ['ping', 8],
    ['goaway', 256],
  ] as const)('of type %s are refused at their head, once it says more than %i bytes', (name, most) => {
    expect(() => reading().reader.read(rawFrame(FRAME[name], most, 1))).not.toThrow()
    expect(() => reading().reader.read(rawFrame(FRAME[name], most + 1, 1))).toThrow(
      expect.objectContaining({
        name: 'FrameError',
        message: `a frame of type ${FRAME[name]} with ${most + 1} bytes`,
      }),
    )
  })

  it('name any stream of 32 bits', () => {
    const writer = new FrameWriter()
    for (const stream of [0x7fffffff, 0x80000000, 0xffffffff]) writer.text(FRAME.head, stream, 'x', false)
    const { reader, told } = reading()
    reader.read(written(writer))
    expect(told).toEqual(['2 2147483647 x', '2 2147483648 x', '2 4294967295 x'])
  })
})

describe('FrameWriter', () => {
  it('cuts data into frames that a reader takes, and ends with the last', () => {
    const chunk = Buffer.alloc(2 * MAX_DATA_BYTES + 1, 'x')
    const writer = new FrameWriter()
    writer.data(1, chunk, true)
    const bytes = written(writer)
    expect(bytes.length).toBe(chunk.length + 3 * 8)
    const { reader, told } = reading()
    reader.read(bytes)
    expect(told).toEqual([`data 1 ${chunk} end`])
  })

  it('writes a head of the greatest length, and nothing of a longer one', () => {
    const writer = new FrameWriter()
    expect(writer.text(FRAME.head, 1, 'x'.repeat(MAX_HEAD_BYTES), false)).toBe(true)
    expect(writer.length).toBe(MAX_HEAD_BYTES + 8)
    expect(writer.text(FRAME.head, 1, 'x'.repeat(MAX_HEAD_BYTES + 1), false)).toBe(false)
    expect(writer.length).toBe(MAX_HEAD_BYTES + 8)
    expect(written(writer).length).toBe(MAX_HEAD_BYTES + 8)
    expect(writer.length).toBe(0)
  })

  it('gathers small frames in one buffer and copies no large data', () => {
    const writer = new FrameWriter()
    const large = Buffer.alloc(100_000, 'x')
    for (let n = 0; n < 100; n++) writer.data(1, Buffer.from('small'), false)
    writer.data(1, large, false)
    writer.window(1, 5)
    const taken = writer.take()
    expect(taken.map(({ length }) => length)).toEqual([100 * 13 + 8, large.length, 12])
    expect(taken[1]?.buffer).toBe(large.buffer)
  })

  it('leaves alone what was taken, and may still be on its way', () => {
    const writer = new FrameWriter()
    const taken: Buffer[] = []
    for (let n = 0; n < 20_000; n++) {
      writer.text(FRAME.head, n, `head ${n}`, false)
      if (n % 7 === 0) taken.push(...writer.take())
    }
    taken.push(...writer.take())
    const { reader, told } = reading()
    reader.read(Buffer.concat(taken))
    expect(told).toEqual(Array.from({ length: 20_000 }, (_, n) => `2 ${n} head ${n}`))
  })
})
