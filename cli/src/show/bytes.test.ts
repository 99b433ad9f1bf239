import { expect, it } from 'vitest'
import { bytesOf } from './bytes.ts'

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [2_400_000_000, '2.4 GB'],
  [999_949, '999.9 kB'],
  [999_999, '1.0 MB'],
  [5e15, '5000.0 TB'],
])('%i bytes are shown as %s', (bytes, shown) => {
  expect(bytesOf(bytes)).toBe(shown)
})
