import { expect, it } from 'vitest'
import { interval } from './interval.ts'

it.each([
  [1, '1 ms'],
  [1500, '1500 ms'],
  [1000, '1 s'],
  [60_000, '1 min'],
  [90_000, '90 s'],
  [5_400_000, '90 min'],
  [86_400_000, '1 d'],
  [2_592_000_000, '30 d'],
])('%i ms are shown as %s', (ms, shown) => {
  expect(interval(ms)).toBe(shown)
})
