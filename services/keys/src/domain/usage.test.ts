import { expect, it } from 'vitest'
import { usesPerKey } from './usage.ts'

const [a, b] = ['key_01h0000000000000000000000a', 'key_01h0000000000000000000000b']
const [noon, one] = [new Date('2026-01-01T12:00:00Z'), new Date('2026-01-01T13:00:00Z')]

it('usesPerKey sums each key and keeps its last use', () => {
  expect(
    usesPerKey([
      { keyId: a, count: 1, last: one },
      { keyId: b, count: 5, last: noon },
      { keyId: a, count: 2, last: noon },
    ]),
  ).toEqual([
    { keyId: a, count: 3, last: one },
    { keyId: b, count: 5, last: noon },
  ])
})

it('usesPerKey keeps the last use with the old secret apart', () => {
  expect(
    usesPerKey([
      { keyId: a, count: 1, last: one, lastWithOldSecret: noon },
      { keyId: a, count: 1, last: one },
      { keyId: a, count: 1, last: noon, lastWithOldSecret: new Date('never') },
      { keyId: b, count: 1, last: noon, lastWithOldSecret: noon },
      { keyId: b, count: 1, last: one, lastWithOldSecret: one },
    ]),
  ).toEqual([
    { keyId: a, count: 3, last: one, lastWithOldSecret: noon },
    { keyId: b, count: 2, last: one, lastWithOldSecret: one },
  ])
})

it('usesPerKey leaves out what is no use of a key', () => {
  const uses = [
    { keyId: 'tun_01h0000000000000000000000a', count: 1, last: noon },
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53 + 2].map((count) => ({
      keyId: a,
      count,
      last: noon,
    })),
    { keyId: a, count: 1, last: undefined },
    { keyId: a, count: 1, last: new Date('never') },
  ]
  expect(usesPerKey(uses)).toEqual([])
})
