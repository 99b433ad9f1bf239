import { describe, expect, it } from 'vitest'
import { type Random, randomOf } from '../../test/random.ts'
import { type HeaderField, HpackDecoder, HpackError } from './hpack-decoder.ts'

const BLOCKS = 50_000
const MAX_LIST_BYTES = 16_384
const MAX_FIELDS = 64

const anyBytes = (random: Random, length: number) => Buffer.from(Array.from({ length }, () => random(256)))

/** Bytes that are HPACK more often than not: what they hold is anything, and lengths are right at times. */
function likelyBytes(random: Random): Buffer {
  const pieces: Buffer[] = []
  for (let count = random(12); count > 0; count--) {
    const length = random(20)
    const string = () => Buffer.from([random(2) * 128 + length, ...anyBytes(random, length)])
    pieces.push(
      [
        () => Buffer.from([128 + random(128)]),
        () => Buffer.concat([Buffer.from([0x40]), string(), string()]),
        () => Buffer.concat([Buffer.from([0x40 + random(64)]), string()]),
        () => Buffer.concat([Buffer.from([random(32)]), string()]),
        () => Buffer.from([0x20 + random(32)]),
        () => Buffer.from([0x3f, random(256), random(40)]),
        () => anyBytes(random, length),
      ][random(7)]?.() as Buffer,
    )
  }
  return Buffer.concat(pieces)
}

/** What a decoder makes of a block; every promise that it makes of all blocks is held to it. */
function outcomeOf(decoder: HpackDecoder, bytes: Buffer): 'read' | 'cut' | 'refused' {
  const fields: HeaderField[] = []
  let outcome: 'read' | 'cut' | 'refused'
  try {
    outcome = decoder.decode(bytes, 0, bytes.length, fields) ? 'read' : 'cut'
  } catch (error) {
    if (!(error instanceof HpackError)) throw error
    outcome = 'refused'
  }
  let listBytes = 0
  for (const { name, value } of fields) listBytes += name.length + value.length + 32
  if (listBytes > MAX_LIST_BYTES || fields.length > MAX_FIELDS) throw new Error('a list beyond its limits')
  return outcome
}

/** What all that a decoder's table holds comes to. */
function tableBytes(decoder: HpackDecoder): number {
  let bytes = 0
  for (let index = 62; ; index++) {
    const fields: HeaderField[] = []
    const block = index < 127 ? [128 + index] : [255, ((index - 127) & 127) | 128, (index - 127) >> 7]
    try {
      decoder.decode(Buffer.from(block), 0, block.length, fields)
    } catch (error) {
      expect(error).toBeInstanceOf(HpackError)
      return bytes
    }
    for (const { name, value } of fields) bytes += name.length + value.length + 32
  }
}

describe('hostile bytes', () => {
  it.each([
    ['any', (random: Random) => anyBytes(random, random(64))],
    ['likely', likelyBytes],
  ])('(%s) are read or refused, and the table stays within its limit', (_, bytesOf) => {
    const random = randomOf(7541)
    const outcomes = { read: 0, cut: 0, refused: 0 }
    let decoder = new HpackDecoder()
    for (let block = 0; block < BLOCKS; block++) {
      const outcome = outcomeOf(decoder, bytesOf(random))
      outcomes[outcome]++
      if (outcome !== 'refused') continue
      if (block % 20 === 0) expect(tableBytes(decoder)).toBeLessThanOrEqual(4096)
      // A refused block ends a connection; some go on all the same, which may do no harm either.
      if (random(4) > 0) decoder = new HpackDecoder()
    }
    expect(outcomes.read).toBeGreaterThan(BLOCKS / 50)
    expect(outcomes.refused).toBeGreaterThan(BLOCKS / 50)
  })

  it.each([
    ['references', [0xbe], []],
    ['names by reference', [0x0f, 0x2f, 0], []],
    ['entries of nothing', [0x40, 0, 0], []],
    ['entries that each drop another', [0x7e, 0], []],
    ['a table that comes and goes', [0x20, 0x3f, 0xe1, 0x1f], [0x82]],
    ['the shortest Huffman code', [0], [0, 0, 0xff, 0x80, 0xff, 0x03]],
  ])('that mean much (%s) take no more time than others', (name, repeated, before) => {
    const decoder = new HpackDecoder()
    const large = Buffer.concat([Buffer.from([0x40, 0x7f, 0xf9, 0x1d]), Buffer.alloc(3960, 97), Buffer.of(0)])
    decoder.decode(large, 0, large.length, [])
    const length = 65_535 - (65_535 % repeated.length)
    const pieces = [Buffer.from(before), Buffer.alloc(length, Buffer.from(repeated))]
    const bytes = Buffer.concat(name.startsWith('a table') ? pieces.reverse() : pieces)
    const began = process.cpuUsage()
    for (let block = 0; block < 10; block++) expect(outcomeOf(decoder, bytes)).not.toBe('refused')
    const { user, system } = process.cpuUsage(began)
    expect((user + system) / 1000).toBeLessThan(1000)
  })
})
