import { describe, expect, it } from 'vitest'
import { dataSize } from './data-size.ts'

describe('dataSize', () => {
  it.each([
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1049, '1.0 kB'],
    [1050, '1.1 kB'],
    [999_949, '999.9 kB'],
    [999_950, '1.0 MB'],
    [2_400_000_000, '2.4 GB'],
    [999_949_999_999, '999.9 GB'],
    [1e12, '1.0 TB'],
    [2 ** 53, '9.0 PB'],
    [2 ** 63, '9223.4 PB'],
  ])('writes %d as %s', (bytes, text) => expect(dataSize(bytes)).toBe(text))
})
