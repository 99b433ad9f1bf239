import { describe, expect, it } from 'vitest'
import { asking, block, type Fields } from '../../test/http2-frames.ts'
import { type Random, randomOf } from '../../test/random.ts'
import { type HeaderField, HpackDecoder } from './hpack-decoder.ts'
import { errorCode } from './protocol.ts'
import { areTrailers, readRequestHead } from './request-head.ts'
import { RequestHeads } from './request-heads.ts'

const read = (heads: RequestHeads, bytes: Buffer) => heads.read(bytes, 0, bytes.length)

/** Of three fields, each of which costs 32 bytes more, and one that fills the list up to this. */
const listOf = (bytes: number): Fields => {
  const sum = asking().reduce((all, [name, value]) => all + name.length + value.length + 32, 0)
  return [...asking(), ['x', 'v'.repeat(bytes - sum - 33)]]
}
const many = (count: number): Fields => [
  ...asking(),
  ...Array.from({ length: count - 3 }, (_, index) => [`x-${index}`, ''] as const),
]

describe('RequestHeads', () => {
  it.each([
    ['of 16 KiB', listOf(16_384), listOf(16_385)],
    ['of 64 fields', many(64), many(65)],
  ])('reads a list %s, and none that is longer (§6.5.2)', (_, longest, longer) => {
    const heads = new RequestHeads()
    for (let round = 0; round < 2; round++) {
      expect(read(heads, block(longest))).toMatchObject({ path: '/echo' })
      expect(read(heads, block(longer))).toBe('too long')
    }
    const trailers = block(longer.slice(3))
    expect(heads.readTrailers(trailers, 0, trailers.length)).toBe(true)
    const tooLong = block([...longer.slice(3), ['y', 'v'.repeat(300)], ...many(5).slice(3)])
    expect(heads.readTrailers(tooLong, 0, tooLong.length)).toBe(false)
  })

  it('keeps the table right after a list that is too long', () => {
    const heads = new RequestHeads()
    // Literals that the table keeps (RFC 7541 §6.2.1).
    const kept = (fields: Fields) =>
      Buffer.concat(fields.map((field) => Buffer.concat([Buffer.of(0x40), block([field]).subarray(1)])))
    expect(read(heads, Buffer.concat([kept(asking('/kept')), block(many(70))]))).toBe('too long')
    expect(read(heads, Buffer.of(0x80 | 64, 0x80 | 63, 0x80 | 62))).toMatchObject({ path: '/kept' })
  })

  it.each([
    ['an index that there is not', Buffer.of(0xff, 0x80, 0x01)],
    ['half a field', block(asking()).subarray(0, -1)],
    ['an index of nothing', Buffer.of(0x80)],
  ])('ends the connection at %s, each time (§4.3)', (_, bytes) => {
    const refused = expect.objectContaining({ name: 'ConnectionError', code: errorCode.COMPRESSION_ERROR })
    const heads = new RequestHeads()
    for (let round = 0; round < 2; round++) {
      expect(() => read(heads, bytes)).toThrow(refused)
      expect(() => heads.readTrailers(bytes, 0, bytes.length)).toThrow(refused)
    }
  })
})

/** What a decoder that remembers no head makes of blocks, in their order. */
class Afresh {
  readonly #decoder = new HpackDecoder({ maxListBytes: 16_384, maxFields: 64 })

  read(bytes: Buffer): unknown {
    const fields: HeaderField[] = []
    if (!this.#decoder.decode(bytes, 0, bytes.length, fields)) return 'too long'
    return readRequestHead(fields) ?? 'malformed'
  }

  readTrailers(bytes: Buffer): boolean {
    const fields: HeaderField[] = []
    return this.#decoder.decode(bytes, 0, bytes.length, fields) && areTrailers(fields)
  }
}

/** An integer after so many bits of a first byte (RFC 7541 §5.1). */
const integer = (first: number, prefix: number, value: number) =>
  value < prefix ? Buffer.of(first | value) : Buffer.of(first | prefix, value - prefix)
const oneOf = <T>(random: Random, list: readonly T[]) => list[random(list.length)] as T

/** A block that may add to the table, change its size, and name what is in it: of few kinds, so that many are the same. */
function randomBlock(random: Random, inTable: { count: number }): Buffer {
  const parts: Buffer[] = []
  if (random(12) === 0) {
    parts.push(integer(0x20, 0x1f, oneOf(random, [0, 60, 120])))
    inTable.count = 0
  }
  for (const field of asking(oneOf(random, ['/a', '/b']))) {
    const literal = block([field]).subarray(1)
    const kind = random(14)
    if (kind === 0) {
      parts.push(Buffer.of(0x40), literal)
      inTable.count++
    } else if (kind <= 6 && inTable.count > 0) parts.push(integer(0x80, 0x7f, 62 + random(inTable.count)))
    else parts.push(Buffer.of(0), literal)
  }
  if (random(10) === 0) parts.push(block(many(66).slice(3)))
  return Buffer.concat(parts)
}

const freshConnection = () => ({ heads: new RequestHeads(), afresh: new Afresh(), inTable: { count: 0 } })

describe('the memo of the last block', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))('never tells of another head (%i)', (seed) => {
    const random = randomOf(seed)
    let connection = freshConnection()
    let blocks: Buffer[] = []
    for (let round = 0; round < 1000; round++) {
      const { heads, afresh, inTable } = connection
      const isAgain = blocks.length > 0 && random(3) > 0
      const bytes = isAgain ? oneOf(random, blocks.slice(-3)) : randomBlock(random, inTable)
      blocks = [...blocks.slice(-5), bytes]
      // They lie anywhere in what came.
      const at = random(50)
      const end = at + bytes.length
      const within = Buffer.concat([Buffer.alloc(at, 0xff), bytes, Buffer.alloc(random(5), 0xff)])
      const told = random(5)
        ? [outcome(() => heads.read(within, at, end)), outcome(() => afresh.read(bytes))]
        : [outcome(() => heads.readTrailers(within, at, end)), outcome(() => afresh.readTrailers(bytes))]
      expect(told[0]).toEqual(told[1])
      // What is no HPACK ends the connection: another begins.
      if (told[0] === 'thrown') connection = freshConnection()
    }
  })

  it('is of use: the same block is the same head, and nothing is decoded', () => {
    const heads = new RequestHeads()
    const bytes = block(asking())
    expect(read(heads, bytes)).toBe(read(heads, Buffer.from(bytes)))
  })

  it('is not of bytes that somebody else writes over', () => {
    const heads = new RequestHeads()
    const bytes = block(asking('/one'))
    expect(read(heads, bytes)).toMatchObject({ path: '/one' })
    block(asking('/two')).copy(bytes)
    expect(read(heads, bytes)).toMatchObject({ path: '/two' })
  })
})

function outcome(told: () => unknown): unknown {
  try {
    return told()
  } catch {
    return 'thrown'
  }
}
