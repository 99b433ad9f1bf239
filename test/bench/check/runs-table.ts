import { formatTable } from '../table.ts'
import { type Result, totalCpu } from './rounds.ts'

/** Results for people, each beside those it is compared with: `of` names them. */
export function formatRuns(
  { title, unit, of = [] }: { title: string; unit: string; of?: readonly string[] },
  results: readonly Result[],
): string {
  const processes = [...new Set(results.flatMap(({ cpuMicroseconds }) => Object.keys(cpuMicroseconds)))]
  const rows = results.map((result) => ({
    [title]: result.name,
    [`${unit}/s`]: result.perSecond,
    ...Object.fromEntries(
      of.map((name) => [`of ${name}`, compare(results, result.name, name, ({ perSecond }) => perSecond)]),
    ),
    'p50 ms': result.p50Ms,
    'p99 ms': result.p99Ms,
    ...Object.fromEntries(processes.map((name) => [`${name} µs`, result.cpuMicroseconds[name] ?? ''])),
    'all µs': totalCpu(result),
    disturbed: result.disturbed || '',
  }))
  return formatTable(rows)
}

/** How many times another's figure one has; NaN where one of them was not measured. */
export function compare(
  results: readonly Result[],
  name: string,
  other: string,
  figure: (result: Result) => number,
): number {
  const of = (wanted: string) => {
    const result = results.find((each) => each.name === wanted)
    return result ? figure(result) : Number.NaN
  }
  return of(name) / of(other)
}
