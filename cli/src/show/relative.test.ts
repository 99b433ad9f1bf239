import { expect, it } from 'vitest'
import { relative } from './relative.ts'

const now = Date.parse('2026-03-01T12:00:00Z')

it.each([
  ['2026-03-01T12:00:00.999Z', 'now'],
  ['2026-03-01T11:59:59.001Z', 'now'],
  ['2026-03-01T11:59:59Z', '1 s ago'],
  ['2026-03-01T12:01:30Z', 'in 90 s'],
  ['2026-03-01T11:57:00Z', '3 min ago'],
  ['2026-03-01T12:59:58Z', 'in 60 min'],
  ['2026-03-01T00:00:00Z', '12 h ago'],
  ['2026-03-03T00:00:00Z', 'in 36 h'],
  ['2026-03-31T11:59:58Z', 'in 30 d'],
  ['2025-12-01T12:00:00Z', '3 months ago'],
  ['2036-02-27T12:00:00Z', 'in 10 years'],
])('%s is shown as %s', (time, shown) => {
  expect(relative(time, now)).toBe(shown)
})
