import { accountsOf } from '@instatunnel/test/accounts'
import { checkEntrant } from './check-entrant.ts'
import { goalsOf, names } from './goals.ts'
import type { Part } from './measured.ts'
import { measureInTurns } from './rounds.ts'
import { formatRuns } from './runs-table.ts'

/** More than a bench could use. */
const MANY = 1_000_000_000

/** A key whose uses are counted down, and one with a window of its own, beside one without. */
export const metered: Part = async ({ platform, whenQuiet, seconds }) => {
  const { stack, adminKey } = platform
  const keyWith = async (fields: object) => (await accountsOf(stack.call).key(adminKey, fields)).key
  const bearers = {
    [names.plain]: await keyWith({}),
    [names.remaining]: await keyWith({ remaining: MANY }),
    [names.window]: await keyWith({ rate_limit_time_window: 60_000, rate_limit_max: MANY }),
  }
  const entrants = Object.entries(bearers).map(([name, bearer]) =>
    checkEntrant(name, { port: platform.checkPort, pids: platform.pids(), bearer }),
  )
  const results = await measureInTurns(entrants, { seconds, whenQuiet })
  return {
    table: formatRuns({ title: 'Check, 32 in flight', unit: 'calls', of: [names.plain] }, results),
    goals: goalsOf.metered(results),
    results,
  }
}
