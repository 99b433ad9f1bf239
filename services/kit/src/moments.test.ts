import { describe, expect, it } from 'vitest'
import { cellsOf, mergedByCell } from './moments.ts'

describe('mergedByCell', () => {
  it('makes one of each cell, at the latest of its moments', () => {
    expect(mergedByCell([1, 9, 10, 25, 29, 40], undefined, cellsOf(10))).toEqual({
      times: [9, 10, 29, 40],
      counts: [2, 1, 2, 1],
    })
  })

  it('adds up what they stand for, and moves nothing when it is done again', () => {
    const once = mergedByCell([1, 9, 10], [5, 6, 7], cellsOf(10))
    expect(once).toEqual({ times: [9, 10], counts: [11, 7] })
    expect(mergedByCell(once.times, once.counts, cellsOf(10))).toEqual(once)
  })

  it('moves no moment by a cell, however many are added one by one', () => {
    let kept: { times: number[]; counts: number[] } = { times: [], counts: [] }
    for (let time = 0; time < 2000; time += 3) {
      kept = mergedByCell([...kept.times, time], [...kept.counts, 1], cellsOf(7.5))
      let counted = 0
      for (const [i, at] of kept.times.entries()) {
        counted += kept.counts[i] as number
        // The last of so many was then or before, and after the cell began.
        expect((counted - 1) * 3).toBeLessThanOrEqual(at)
        expect(at - (counted - 1) * 3).toBeLessThan(7.5)
      }
    }
  })
})
