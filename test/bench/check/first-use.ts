import { formatTable, median } from '../table.ts'
import { checkHeaders } from './check-request.ts'
import { checksOf, fillKeys } from './filled-keys.ts'
import { goalsOf } from './goals.ts'
import { applyCalls } from './load/apply.ts'
import type { LaneResult } from './load/lane.ts'
import type { Part } from './measured.ts'
import type { Platform } from './platform.ts'
import { ROUNDS } from './rounds.ts'

/** So few that a call waits for its own look-up, and for little else. */
const IN_FLIGHT = 4
const KEYS = 5000

/** The first use of each of many keys: nothing is known of them, nor of their users. */
export const firstUse: Part = async ({ platform, whenQuiet }) => {
  await useFirst(platform) // warms up whatever lies between auth and the database
  const rounds: LaneResult[] = []
  while (rounds.length < ROUNDS) {
    rounds.push((await whenQuiet([platform.authPid()], () => useFirst(platform))).value)
  }
  const of = (field: keyof LaneResult) => median(rounds.map((round) => round[field]))
  const result = { p50Ms: of('p50Ms'), p99Ms: of('p99Ms'), maxMs: of('maxMs') }
  const title = `the first use of ${KEYS} keys, ${IN_FLIGHT} at a time`
  return {
    table: formatTable([
      { [title]: 'auth', 'p50 ms': result.p50Ms, 'p99 ms': result.p99Ms, 'most ms': result.maxMs },
    ]),
    goals: goalsOf.firstUse(result),
    results: { keys: KEYS, inFlight: IN_FLIGHT, ...result },
  }
}

async function useFirst(platform: Platform): Promise<LaneResult> {
  const checks = checksOf(await fillKeys(platform, KEYS), { once: true })
  const { lanes } = await applyCalls({
    port: platform.checkPort,
    headers: checkHeaders,
    lanes: [{ name: 'first', inFlight: IN_FLIGHT, expected: 'admitted', ...checks }],
  })
  if (lanes.first?.calls !== KEYS) throw new Error('not every key was used')
  return lanes.first
}
