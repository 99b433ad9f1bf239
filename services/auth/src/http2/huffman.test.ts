import { describe, expect, it } from 'vitest'
import { huffmanText } from './huffman.ts'

/** Bits as bytes; the last byte is filled up with ones, as HPACK pads. */
const bytesOf = (...bits: string[]) => {
  const filled = bits.join('')
  return Buffer.from(
    (filled.padEnd(Math.ceil(filled.length / 8) * 8, '1').match(/.{8}/g) ?? []).map((byte) =>
      parseInt(byte, 2),
    ),
  )
}
const code = (value: number, bits: number) => value.toString(2).padStart(bits, '0')
const read = (bytes: Buffer) => huffmanText(bytes, 0, bytes.length)

// As RFC 7541, appendix B, has them: the first and the last symbol of every length.
const CODES: [symbol: number, value: number, bits: number][] = [
  [48, 0x0, 5],
  [116, 0x9, 5],
  [32, 0x14, 6],
  [117, 0x2d, 6],
  [58, 0x5c, 7],
  [122, 0x7b, 7],
  [38, 0xf8, 8],
  [90, 0xfd, 8],
  [33, 0x3f8, 10],
  [63, 0x3fc, 10],
  [39, 0x7fa, 11],
  [124, 0x7fc, 11],
  [35, 0xffa, 12],
  [62, 0xffb, 12],
  [0, 0x1ff8, 13],
  [126, 0x1ffd, 13],
  [94, 0x3ffc, 14],
  [125, 0x3ffd, 14],
  [60, 0x7ffc, 15],
  [123, 0x7ffe, 15],
  [92, 0x7fff0, 19],
  [208, 0x7fff2, 19],
  [128, 0xfffe6, 20],
  [226, 0xfffed, 20],
  [153, 0x1fffdc, 21],
  [230, 0x1fffe8, 21],
  [129, 0x3fffd2, 22],
  [233, 0x3fffeb, 22],
  [1, 0x7fffd8, 23],
  [239, 0x7ffff4, 23],
  [9, 0xffffea, 24],
  [237, 0xfffff5, 24],
  [199, 0x1ffffec, 25],
  [235, 0x1ffffef, 25],
  [192, 0x3ffffe0, 26],
  [255, 0x3ffffee, 26],
  [203, 0x7ffffde, 27],
  [254, 0x7fffff0, 27],
  [2, 0xfffffe2, 28],
  [249, 0xffffffe, 28],
  [10, 0x3ffffffc, 30],
  [22, 0x3ffffffe, 30],
]
const EOS = code(0x3fffffff, 30)

describe('huffmanText', () => {
  it.each(CODES)('reads the symbol %i', (symbol, value, bits) => {
    const char = String.fromCharCode(symbol)
    expect(read(bytesOf(code(value, bits)))).toBe(char)
    for (let before = 1; before <= 8; before++) {
      const text = `${'0'.repeat(before)}${char}${char}z`
      const twice = code(value, bits).repeat(2)
      expect(read(bytesOf(code(0, 5).repeat(before), twice, code(0x7b, 7)))).toBe(text)
    }
  })

  it('reads no more than it is told to', () => {
    const bytes = Buffer.from('ffa8eb10649cbfff', 'hex')
    expect(huffmanText(bytes, 1, 7)).toBe('no-cache')
    expect(huffmanText(bytes, 1, 1)).toBe('')
  })

  it('reads a text of any length', () => {
    for (const length of [2000, 4093, 4094, 4095, 4096, 4097, 100_000]) {
      expect(read(bytesOf('00000'.repeat(length))), `${length}`).toBe('0'.repeat(length))
    }
  })

  it('takes padding of up to seven ones', () => {
    const padding = Array.from({ length: 8 }, (_, length) => {
      const bits = '00000'.repeat(length)
      expect(read(bytesOf(bits))).toBe('0'.repeat(length))
      return Math.ceil(bits.length / 8) * 8 - bits.length
    })
    expect(padding.sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it.each([
    ['a whole byte of padding', bytesOf('00000', '111', '11111111')],
    ['padding alone', bytesOf('11111111')],
    ['more padding than that', bytesOf('00000', '111', '11111111'.repeat(3))],
    ['padding with a zero', bytesOf('00000', '110')],
    ['padding of zeros', bytesOf('010100', '00')],
    ['a symbol that does not end', bytesOf(code(0x3ffffffc, 30).slice(0, 24))],
    ['EOS', bytesOf(EOS)],
    ['EOS between symbols', bytesOf('00000', EOS, '00000')],
    ['EOS, and so many symbols that it could be forgotten', bytesOf('00000', EOS, '00000'.repeat(1000))],
  ])('reads nothing of %s', (_, bytes) => {
    expect(read(bytes)).toBeUndefined()
  })
})
