import { describe, expect, it } from 'vitest'
import type { Goal } from '../goals.ts'
import { goalsOf, names } from './goals.ts'
import type { Result } from './rounds.ts'

const result = (name: string, perSecond: number, ...microseconds: number[]): Result => ({
  name,
  perSecond,
  p50Ms: 1,
  p99Ms: 5,
  cpuMicroseconds: Object.fromEntries(microseconds.map((each, i) => [`process ${i}`, each])),
  disturbed: 0,
})
const measured = (goals: readonly Goal[]) => goals.map((goal) => goal.measured)

describe('the goals of Check', () => {
  it('are ratios of calls and of processor time', () => {
    const results = [result(names.key, 2000, 20), result(names.grpcJs, 1000, 40), result(names.go, 3000, 16)]
    expect(measured(goalsOf.alone(results))).toEqual([0.5, 2, 1.25])
    expect(measured(goalsOf.chain([...results, result(names.without, 4000, 10)]))).toEqual([0.5, 2])
  })

  it('are not known beside what was left out', () => {
    const results = [result(names.key, 2000, 20), result(names.grpcJs, 1000, 40)]
    expect(measured(goalsOf.alone(results))).toEqual([0.5, 2, Number.NaN])
  })

  it('hold keys that count their uses against one that does not', () => {
    const results = [result(names.plain, 1000), result(names.remaining, 900), result(names.window, 700)]
    expect(measured(goalsOf.metered(results))).toEqual([0.9, 0.7])
  })

  it("count all processes' time for a verification", () => {
    const results = [
      result(names.check, 1000, 20, 5),
      result(names.betterAuth, 100, 600, 500),
      result(names.secondary, 1000, 125),
      result(names.fastest, 1000, 75),
    ]
    expect(measured(goalsOf.betterAuth(results))).toEqual([44, 5, 3])
  })

  it('hold many keys against one, and wrong keys against none', () => {
    expect(measured(goalsOf.manyKeys({ mostMib: 300, p99Ms: 6, oneP99Ms: 4 }))).toEqual([300, 1.5])
    const wrong = { thrown: 100, digests: 90, again: 0, grownMib: 10, p99Ratio: 1.1, limitedP99Ratio: 1.2 }
    expect(measured(goalsOf.wrongKeys(wrong))).toEqual([0.9, 0, 10, 1.1, 1.2])
  })
})
