import { describe, expect, it } from 'vitest'
import { formatGoals } from './goals.ts'

describe('goals', () => {
  const lineOf = (goal: object) =>
    formatGoals('bench', [{ says: 'a thing', measured: 2, ...goal }]).split('\n')[1]

  it('hold at their bound, where it is one to reach or not to pass', () => {
    expect(lineOf({ atLeast: 2 })).toMatch(/^a thing +≥ 2 +2 +yes$/)
    expect(lineOf({ atMost: 2 })).toMatch(/^a thing +≤ 2 +2 +yes$/)
  })

  it('do not hold past it', () => {
    expect(lineOf({ atLeast: 2.1 })).toMatch(/NO$/)
    expect(lineOf({ atMost: 1.9 })).toMatch(/NO$/)
    expect(lineOf({ below: 2 })).toMatch(/^a thing +< 2 +2 +NO$/)
  })

  it('are not known where nothing was measured', () => {
    expect(lineOf({ atLeast: 2, measured: Number.NaN })).toMatch(/not known$/)
  })
})
