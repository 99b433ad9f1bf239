import { accountsOf } from '@instatunnel/test/accounts'
import { checkEntrant } from './check-entrant.ts'
import type { Part } from './measured.ts'
import { measureInTurns } from './rounds.ts'
import { compare, formatRuns } from './runs-table.ts'

const PLAIN = 'a key'
const REMAINING = 'with remaining'
const WINDOW = 'with a window of its own'

/** More than a bench could use. */
const MANY = 1_000_000_000

/** A key whose uses are counted down, and one with a window of its own, beside one without. */
export const metered: Part = async ({ platform, whenQuiet, seconds }) => {
  const { stack, adminKey } = platform
  const keyWith = async (fields: object) => (await accountsOf(stack.call).key(adminKey, fields)).key
  const bearers = {
    [PLAIN]: await keyWith({}),
    [REMAINING]: await keyWith({ remaining: MANY }),
    [WINDOW]: await keyWith({ rate_limit_time_window: 60_000, rate_limit_max: MANY }),
  }
  const entrants = Object.entries(bearers).map(([name, bearer]) =>
    checkEntrant(name, { port: platform.checkPort, pids: platform.pids(), bearer }),
  )
  const results = await measureInTurns(entrants, { seconds, whenQuiet })
  const of = (name: string) => compare(results, name, PLAIN, ({ perSecond }) => perSecond)
  return {
    table: formatRuns({ title: 'Check, 32 in flight', unit: 'calls', of: [PLAIN] }, results),
    goals: [
      { says: 'a key with remaining: calls/s, of one without', atLeast: 0.8, measured: of(REMAINING) },
      { says: 'a key with a window: calls/s, of one without', atLeast: 0.8, measured: of(WINDOW) },
    ],
    results,
  }
}
