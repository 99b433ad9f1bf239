import { median } from '../table.ts'
import type { Entrant } from './entrant.ts'
import { bulkStreams, type SmallRun, smallConnections } from './measure.ts'
import type { Round } from './round.ts'

/** A contender's medians over all rounds. */
export interface Result extends Round {
  readonly name: string
  readonly firstAnswerMs: number | undefined
}

/** Takes the median of each thing measured. */
export function summarize({ name, firstAnswerMs }: Entrant, rounds: readonly Round[]): Result {
  const sum = (field: 'runs' | 'disturbed') => rounds.reduce((total, round) => total + round[field], 0)
  const bulk = (way: 'download' | 'upload') =>
    by(bulkStreams, (streams) => median(rounds.map((round) => round[way][streams] ?? Number.NaN)))
  return {
    name,
    firstAnswerMs,
    small: by(smallConnections, (connections) =>
      medianRun(rounds.flatMap((round) => round.small[connections] ?? [])),
    ),
    download: bulk('download'),
    upload: bulk('upload'),
    runs: sum('runs'),
    disturbed: sum('disturbed'),
  }
}

/** Processor time per request of all processes of a tunnel. */
export const totalCpu = (run: SmallRun | undefined): number =>
  Object.values(run?.cpuMicroseconds ?? {}).reduce((sum, each) => sum + each, 0)

function medianRun(runs: readonly SmallRun[]): SmallRun {
  const of = (field: (run: SmallRun) => number) => median(runs.map(field))
  return {
    requestsPerSecond: of((run) => run.requestsPerSecond),
    p50Ms: of((run) => run.p50Ms),
    p99Ms: of((run) => run.p99Ms),
    cpuMicroseconds: by(Object.keys(runs[0]?.cpuMicroseconds ?? {}), (name) =>
      of((run) => run.cpuMicroseconds[name] ?? Number.NaN),
    ),
  }
}

const by = <Key extends string | number, Value>(keys: readonly Key[], value: (key: Key) => Value) =>
  Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<Key, Value>
