import { expect, it } from 'vitest'
import { duration } from './duration.ts'

it.each([
  [0.4, '<1 ms'],
  [12.6, '13 ms'],
  [999.4, '999 ms'],
  [1234, '1.2 s'],
  [59_900, '59.9 s'],
  [61_000, '1 min'],
  [3_600_000, '60 min'],
])('%f ms are shown as %s', (ms, shown) => {
  expect(duration(ms)).toBe(shown)
})
