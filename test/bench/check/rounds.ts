import { type Pids, perUnit } from '../cpu.ts'
import type { WhenQuiet } from '../quiet.ts'
import { median } from '../table.ts'

/** So often each is measured; the medians count. */
export const ROUNDS = 3

/** What a run of load on one of those compared gave. */
export interface Run {
  /** Calls, requests or verifications. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time for each of them, by process. */
  readonly cpuMicroseconds: Readonly<Record<string, number>>
}

/** One of those that are compared. */
export interface Entrant {
  readonly name: string
  /** What works for it. */
  readonly pids: Pids
  run(seconds: number): Promise<Run>
}

/** An entrant's medians over all rounds. */
export interface Result extends Run {
  readonly name: string
  /** Of its runs, those that say little, since other programs never left the machine alone. */
  readonly disturbed: number
}

/** Warms all of them up and measures them in turns, so that what is compared is close in time. */
export async function measureInTurns(
  entrants: readonly Entrant[],
  {
    seconds,
    warmUpSeconds = 2,
    whenQuiet,
  }: { seconds: number; warmUpSeconds?: number; whenQuiet: WhenQuiet },
): Promise<Result[]> {
  const pids = entrants.flatMap((entrant) => Object.values(entrant.pids))
  const runs = new Map<Entrant, { value: Run; isDisturbed: boolean }[]>()
  for (const entrant of entrants) {
    await entrant.run(warmUpSeconds)
    runs.set(entrant, [])
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [entrant, own] of runs) own.push(await whenQuiet(pids, () => entrant.run(seconds)))
  }
  return [...runs].map(([{ name }, own]) => ({
    name,
    ...medianRun(own.map(({ value }) => value)),
    disturbed: own.filter(({ isDisturbed }) => isDisturbed).length,
  }))
}

/** The processor time of all processes for each call. */
export const totalCpu = ({ cpuMicroseconds }: Run): number =>
  Object.values(cpuMicroseconds).reduce((sum, each) => sum + each, 0)

/** What a load met and used, as a run. */
export const runOf = (
  { count, seconds, p50Ms, p99Ms }: { count: number; seconds: number; p50Ms: number; p99Ms: number },
  used: Readonly<Record<string, number>>,
): Run => ({ perSecond: count / seconds, p50Ms, p99Ms, cpuMicroseconds: perUnit(used, count) })

function medianRun(runs: readonly Run[]): Run {
  const of = (field: (run: Run) => number) => median(runs.map(field))
  const processes = Object.keys(runs[0]?.cpuMicroseconds ?? {})
  return {
    perSecond: of((run) => run.perSecond),
    p50Ms: of((run) => run.p50Ms),
    p99Ms: of((run) => run.p99Ms),
    cpuMicroseconds: Object.fromEntries(
      processes.map((name) => [name, of((run) => run.cpuMicroseconds[name] ?? Number.NaN)]),
    ),
  }
}
