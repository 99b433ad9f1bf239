import { expect, it } from 'vitest'
import { masked } from './masked.ts'

it.each([
  ['it_1234567890abcdef', 'it_***...def'],
  ['acme_1234567890abcdef1234567890abcdef', '***...def'],
  ['short', '***'],
])('%s is shown as %s', (key, shown) => {
  expect(masked(key)).toBe(shown)
})
