import { residentKib } from '../memory.ts'
import { formatTable } from '../table.ts'
import { IN_FLIGHT } from './check-entrant.ts'
import { checkHeaders, checkRequest } from './check-request.ts'
import { checksOf, fillKeys } from './filled-keys.ts'
import { goalsOf } from './goals.ts'
import { applyCalls } from './load/apply.ts'
import type { Lane } from './load/lane.ts'
import type { Bench, Part } from './measured.ts'
import type { Platform } from './platform.ts'

const KEYS = 100_000
/** Nothing is remembered for longer: within that each key is looked up again. */
const REMEMBERED_SECONDS = 30
const KIB_A_MIB = 1024

/**
 * Many keys in use, beside one: what auth remembers of them, and what their calls wait for. The first use of each, when
 * nothing is known of any, is told apart from steady use, in which each is looked up anew.
 */
export const manyKeys: Part = async (bench) => {
  const { platform, seconds } = bench
  const keys = await fillKeys(platform, KEYS)
  await platform.restartAuth({}) // what other parts have left behind is none of theirs
  const one = { message: checkRequest(platform.apiKey).toString('base64') }
  const rows = {
    'one key': await measure(bench, { ...one, seconds }),
    // Once only, however quiet it is: they are not new any more.
    [`${KEYS} keys, the first use of each`]: {
      ...(await use(platform, checksOf(keys, { once: true }))),
      isDisturbed: false,
    },
    [`${KEYS} keys`]: await measure(bench, {
      ...checksOf(keys, { once: false }),
      seconds: REMEMBERED_SECONDS + seconds,
    }),
    'one key again': await measure(bench, { ...one, seconds }),
  }
  const [before, , many, after] = Object.values(rows)
  const known = {
    mostMib: after?.mostMib ?? Number.NaN, // those keys are still in memory
    p99Ms: many?.p99Ms ?? Number.NaN,
    oneP99Ms: ((before?.p99Ms ?? Number.NaN) + (after?.p99Ms ?? Number.NaN)) / 2,
  }
  return {
    table: formatTable(Object.entries(rows).map(([inUse, row]) => ({ 'in use': inUse, ...shown(row) }))),
    goals: goalsOf.manyKeys(known),
    results: rows,
  }
}

type Use = Pick<Lane, 'message' | 'digits'> & { readonly seconds?: number }

async function measure({ platform, whenQuiet }: Bench, checks: Use) {
  const { value, isDisturbed } = await whenQuiet([platform.authPid()], () => use(platform, checks))
  return { ...value, isDisturbed }
}

async function use(platform: Platform, { seconds, ...checks }: Use) {
  await platform.othersGiveWay()
  const lanes = [{ name: 'use', inFlight: IN_FLIGHT, expected: 'admitted' as const, ...checks }]
  const order = { port: platform.checkPort, headers: checkHeaders, lanes }
  const load = await applyCalls(seconds === undefined ? order : { ...order, seconds })
  const { calls = Number.NaN, p50Ms = Number.NaN, p99Ms = Number.NaN } = load.lanes.use ?? {}
  const mib = (field: 'VmRSS' | 'VmHWM') => residentKib(platform.authPid(), field) / KIB_A_MIB
  return { perSecond: calls / load.seconds, p50Ms, p99Ms, residentMib: mib('VmRSS'), mostMib: mib('VmHWM') }
}

const shown = (row: Awaited<ReturnType<typeof measure>>) => ({
  'calls/s': row.perSecond,
  'p50 ms': row.p50Ms,
  'p99 ms': row.p99Ms,
  'auth MiB': row.residentMib,
  'at its most': row.mostMib,
  disturbed: row.isDisturbed ? 1 : '',
})
