import type { WhenQuiet } from '../quiet.ts'
import { checkBodies } from './check.ts'
import type { Entrant } from './entrant.ts'
import { bulkStreams, measureBulk, measureSmall, type SmallRun, smallConnections } from './measure.ts'
import type { Target } from './target.ts'

/** What one round of load on an entrant gave: small GETs by connections, MiB/s by streams. */
export interface Round {
  readonly small: Record<number, SmallRun>
  readonly download: Record<number, number>
  readonly upload: Record<number, number>
  runs: number
  /** How many of the runs say little, since other programs never left the machine alone. */
  disturbed: number
}

/**
 * Checks that bodies arrive as they were sent, then measures each thing on all entrants one after another, so that what
 * is compared is close in time.
 */
export async function runRound(
  entrants: readonly Entrant[],
  { target, seconds, whenQuiet }: { target: Target; seconds: number; whenQuiet: WhenQuiet },
): Promise<Map<Entrant, Round>> {
  const rounds = new Map<Entrant, Round>()
  for (const entrant of entrants) {
    await checkBodies(entrant.place, target)
    rounds.set(entrant, { small: {}, download: {}, upload: {}, runs: 0, disturbed: 0 })
  }
  const pids = entrants.flatMap((entrant) => Object.values(entrant.pids))
  for (const load of loads) {
    for (const [entrant, round] of rounds) {
      const run = await whenQuiet(pids, () => load(entrant, seconds))
      run.value(round)
      round.runs++
      if (run.isDisturbed) round.disturbed++
    }
  }
  return rounds
}

/** Measures one thing, and gives what notes it. */
type Load = (entrant: Entrant, seconds: number) => Promise<(round: Round) => void>

const loads: readonly Load[] = [
  ...smallConnections.map(
    (connections): Load =>
      async ({ place, pids }, seconds) => {
        const run = await measureSmall(place, pids, { connections, seconds })
        return ({ small }) => {
          small[connections] = run
        }
      },
  ),
  ...(['download', 'upload'] as const).flatMap((way) =>
    bulkStreams.map(
      (streams): Load =>
        async ({ place }, seconds) => {
          const mibPerSecond = await measureBulk(place, way, { streams, seconds })
          return (round) => {
            round[way][streams] = mibPerSecond
          }
        },
    ),
  ),
]
