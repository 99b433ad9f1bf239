import { describe, expect, it } from 'vitest'
import { data, frame, request, settings } from '../../test/http2-frames.ts'
import { randomOf } from '../../test/random.ts'
import { FrameReader, uint31 } from './frame-reader.ts'
import { ConnectionError, errorCode, MAX_FRAME_BYTES, PREFACE } from './protocol.ts'

interface Taken {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

/** A reader, and what it took: views of the bytes as they came, never copies. */
function reading() {
  const taken: Taken[] = []
  const reader = new FrameReader((bytes, head, start, end) => {
    taken.push({ ...head, payload: bytes.subarray(start, end) })
  })
  return { reader, taken }
}

const conversation = Buffer.concat([
  PREFACE,
  settings([4, 100]),
  request(1),
  data(1, ''),
  data(1, 'x'),
  frame(0xff, 0xff, 2 ** 31 - 1, 'unknown'),
  settings(),
  data(3, 'the end'),
])
const whole = () => {
  const { reader, taken } = reading()
  reader.push(conversation)
  return taken
}

describe('FrameReader', () => {
  it('finds the frames after the preface (§3.4, §4.1)', () => {
    expect(
      whole().map(({ type, flags, streamId, payload }) => [type, flags, streamId, payload.length]),
    ).toEqual([
      [4, 0, 0, 6],
      [1, 5, 1, request(1).length - 9],
      [0, 0, 1, 0],
      [0, 0, 1, 1],
      [255, 255, 2 ** 31 - 1, 7],
      [4, 0, 0, 0],
      [0, 0, 3, 7],
    ])
  })

  it('finds the same, wherever the bytes are cut in two', () => {
    const expected = whole()
    for (let cut = 0; cut <= conversation.length; cut++) {
      const { reader, taken } = reading()
      reader.push(conversation.subarray(0, cut))
      reader.push(conversation.subarray(cut))
      expect(taken, `cut at ${cut}`).toEqual(expected)
    }
  })

  it('finds the same byte by byte, and each frame as soon as it is there', () => {
    const { reader, taken } = reading()
    const counts = [...conversation].map((byte) => {
      reader.push(Buffer.of(byte))
      return taken.length
    })
    expect(taken).toEqual(whole())
    expect(counts.at(PREFACE.length + 9 + 6 - 2)).toBe(0)
    expect(counts.at(PREFACE.length + 9 + 6 - 1)).toBe(1)
  })

  it.each([1, 2, 3, 4, 5])('finds the same in pieces of any size (%i)', (seed) => {
    const random = randomOf(seed)
    for (let round = 0; round < 200; round++) {
      const { reader, taken } = reading()
      for (let at = 0; at < conversation.length; ) {
        const end = at + random(1 + random(40))
        reader.push(conversation.subarray(at, end))
        at = end
      }
      expect(taken).toEqual(whole())
    }
  })

  it('gives bytes that stay as they are, whatever comes later', () => {
    const { reader, taken } = reading()
    reader.push(PREFACE)
    const kept: string[] = []
    for (let round = 0; round < 100; round++) {
      const text = String(round).repeat(100)
      const one = data(1, text)
      const cut = round % one.length
      kept.push(text)
      reader.push(one.subarray(0, cut))
      reader.push(one.subarray(cut))
    }
    expect(taken.map(({ payload }) => payload.toString())).toEqual(kept)
  })

  it('copies no frame that comes in one piece', () => {
    const { reader, taken } = reading()
    reader.push(conversation)
    expect(taken.every(({ payload }) => payload.buffer === conversation.buffer)).toBe(true)
  })

  it('says whether the peer speaks HTTP/2', () => {
    const { reader } = reading()
    reader.push(PREFACE.subarray(0, -1))
    expect(reader.isBegun).toBe(false)
    reader.push(PREFACE.subarray(-1))
    expect(reader.isBegun).toBe(true)
  })

  it.each(Array.from(PREFACE, (_, at) => at))('refuses a preface that is wrong at byte %i', (at) => {
    for (const cut of [0, at, at + 1]) {
      const { reader } = reading()
      const wrong = Buffer.from(PREFACE)
      wrong[at] = (wrong[at] as number) ^ 0x20
      const push = () => {
        reader.push(wrong.subarray(0, cut))
        reader.push(wrong.subarray(cut, at + 1))
      }
      expect(codeOf(push)).toBe(errorCode.PROTOCOL_ERROR)
    }
  })

  it('reads the longest frame, in one piece and in many', () => {
    const { reader, taken } = reading()
    reader.push(PREFACE)
    const longest = data(1, Buffer.alloc(MAX_FRAME_BYTES, 7))
    reader.push(longest)
    for (let at = 0; at < longest.length; at += 1000) reader.push(longest.subarray(at, at + 1000))
    expect(taken.map(({ payload }) => payload.equals(longest.subarray(9)))).toEqual([true, true])
  })

  it.each([MAX_FRAME_BYTES + 1, 2 ** 24 - 1])('refuses one of %i bytes by its head (§4.2)', (length) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(length, 0, 3)
    for (const cut of [0, 1, 8, 9]) {
      const { reader, taken } = reading()
      reader.push(
        Buffer.concat([PREFACE, data(1, 'before'), head.subarray(0, cut)].slice(0, cut === 9 ? 2 : 3)),
      )
      expect(codeOf(() => reader.push(head.subarray(cut === 9 ? 0 : cut)))).toBe(errorCode.FRAME_SIZE_ERROR)
      expect(taken).toHaveLength(1)
    }
  })

  it('throws what its taker throws', () => {
    const reader = new FrameReader(() => {
      throw new RangeError('no')
    })
    expect(() => reader.push(conversation)).toThrow(RangeError)
  })
})

describe('uint31', () => {
  it('reads no reserved bit (§4.1)', () => {
    expect(uint31(Buffer.of(0, 0xff, 0xff, 0xff, 0xff), 1)).toBe(2 ** 31 - 1)
    expect(uint31(Buffer.of(0x80, 0, 0, 1), 0)).toBe(1)
  })
})

function codeOf(push: () => void): number | undefined {
  try {
    push()
  } catch (error) {
    if (error instanceof ConnectionError) return error.code
    throw error
  }
  return undefined
}
