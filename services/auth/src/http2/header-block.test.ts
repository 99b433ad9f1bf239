import { describe, expect, it } from 'vitest'
import { headerBlock, NO_TABLE } from './header-block.ts'
import { type HeaderField, HpackDecoder } from './hpack-decoder.ts'

describe('headerBlock', () => {
  it('writes literals that no table keeps (RFC 7541 §6.2.2)', () => {
    expect(headerBlock({ ':status': '200', a: '' }).toString('latin1')).toBe('\0\x07:status\x03200\0\x01a\0')
  })

  it.each([0, 1, 126, 127, 128, 254, 255, 256, 16_383, 16_510, 16_511, 100_000])(
    'writes a value of %i bytes as it is read (RFC 7541 §5.1)',
    (length) => {
      const fields = { 'x-before': 'b', 'x-long': 'v'.repeat(length), 'x-after': 'a' }
      const block = headerBlock(fields)
      const decoder = new HpackDecoder({ maxListBytes: 200_000 })
      const read: HeaderField[] = []
      expect(decoder.decode(block, 0, block.length, read)).toBe(true)
      expect(read).toEqual(Object.entries(fields).map(([name, value]) => ({ name, value })))
      expect(decoder.changes).toBe(0)
    },
  )
})

describe('NO_TABLE', () => {
  it('may stand before any block (RFC 7541 §6.3)', () => {
    const decoder = new HpackDecoder()
    const read: HeaderField[] = []
    const block = Buffer.concat([NO_TABLE, headerBlock({ a: 'b' })])
    decoder.decode(block, 0, block.length, read)
    expect(read).toEqual([{ name: 'a', value: 'b' }])
  })
})
