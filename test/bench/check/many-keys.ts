import { residentKib } from '../memory.ts'
import { formatTable } from '../table.ts'
import { IN_FLIGHT } from './check-entrant.ts'
import { checkHeaders, checkRequest } from './check-request.ts'
import { checksOf, fillKeys } from './filled-keys.ts'
import { goalsOf } from './goals.ts'
import { applyCalls } from './load/apply.ts'
import type { Lane } from './load/lane.ts'
import type { Bench, Part } from './measured.ts'

const KEYS = 100_000
/** Nothing is remembered for longer: within that each key is looked up again. */
const REMEMBERED_SECONDS = 30
const KIB_A_MIB = 1024

/** Many keys in use, beside one: what auth remembers of them, and what their calls wait for. */
export const manyKeys: Part = async (bench) => {
  const { platform, seconds } = bench
  const keys = await fillKeys(platform, KEYS)
  await platform.restartAuth({}) // what other parts have left behind is none of theirs
  const one = { message: checkRequest(platform.apiKey).toString('base64') }
  const rows = [
    { keys: 1, ...(await use(bench, one, seconds)) },
    { keys: KEYS, ...(await use(bench, checksOf(keys, { once: false }), REMEMBERED_SECONDS + seconds)) },
    { keys: 1, ...(await use(bench, one, seconds)) },
  ]
  const [before, many, after] = rows
  const known = {
    mostMib: after?.mostMib ?? Number.NaN, // those keys are still in memory
    p99Ms: many?.p99Ms ?? Number.NaN,
    oneP99Ms: ((before?.p99Ms ?? Number.NaN) + (after?.p99Ms ?? Number.NaN)) / 2,
  }
  return {
    table: formatTable(rows.map((row) => ({ 'keys in use': `${row.keys}`, ...shown(row) }))),
    goals: goalsOf.manyKeys(known),
    results: rows,
  }
}

async function use({ platform, whenQuiet }: Bench, lane: Pick<Lane, 'message' | 'digits'>, seconds: number) {
  const { value, isDisturbed } = await whenQuiet([platform.authPid()], () =>
    applyCalls({
      port: platform.checkPort,
      headers: checkHeaders,
      lanes: [{ name: 'use', inFlight: IN_FLIGHT, expected: 'admitted', ...lane }],
      seconds,
    }),
  )
  const { calls = Number.NaN, p50Ms = Number.NaN, p99Ms = Number.NaN } = value.lanes.use ?? {}
  const mib = (field: 'VmRSS' | 'VmHWM') => residentKib(platform.authPid(), field) / KIB_A_MIB
  const perSecond = calls / value.seconds
  return { perSecond, p50Ms, p99Ms, residentMib: mib('VmRSS'), mostMib: mib('VmHWM'), isDisturbed }
}

const shown = (row: Awaited<ReturnType<typeof use>>) => ({
  'calls/s': row.perSecond,
  'p50 ms': row.p50Ms,
  'p99 ms': row.p99Ms,
  'auth MiB': row.residentMib,
  'at its most': row.mostMib,
  disturbed: row.isDisturbed ? 1 : '',
})
