import { expect, it } from 'vitest'
import { connectionsCut } from './connections-cut.ts'

it('tells how many there were, and nothing of none', () => {
  expect([0, 1, 12].map(connectionsCut)).toEqual([
    [],
    ['✂️ 1 live connection cut off'],
    ['✂️ 12 live connections cut off'],
  ])
})
