import { digestOf } from '@instatunnel/kit/secret'
import { residentKib } from '../memory.ts'
import { formatTable } from '../table.ts'
import { IN_FLIGHT } from './check-entrant.ts'
import { checkHeaders, checkRequest } from './check-request.ts'
import { type CountingKeys, type LookUps, startCountingKeys } from './counting-keys.ts'
import { checksOf, unknownKeys } from './filled-keys.ts'
import { goalsOf } from './goals.ts'
import { applyCalls } from './load/apply.ts'
import type { Lane } from './load/lane.ts'
import type { Bench, Part } from './measured.ts'
import { NO_LIMITS, type Platform } from './platform.ts'

/** Wrong keys for each second of a round: a million at five. */
const KEYS_A_SECOND = 200_000
/** Each comes twice: the second time nobody need be asked about it. */
const TIMES = 2
const KIB_A_MIB = 1024

/** What wrong keys do to a valid one: half of the calls under way are theirs; without limits, and as they are by default. */
export const wrongKeys: Part = async (bench) => {
  const { platform, seconds } = bench
  await using closing = new AsyncDisposableStack()
  const real = platform.stack.service('keys').address
  const keys = closing.adopt(await startCountingKeys(real, [digestOf(platform.apiKey)]), (open) =>
    open.stop(),
  )
  closing.defer(() => platform.restartAuth({ ...NO_LIMITS, KEYS_ADDRESS: real }))

  const count = KEYS_A_SECOND * seconds
  const measure = async (limits: Record<string, string>) => {
    await platform.restartAuth({ ...limits, KEYS_ADDRESS: keys.address })
    const without = await useBeside(bench, keys, () => ({ ...validChecks(platform), seconds }))
    const beside = await useBeside(bench, keys, () => wrongChecks(count))
    return { without, beside }
  }
  const free = await measure({})
  const limited = await measure({ LIMIT_AUTH_PER_MINUTE: '10' })
  const rows = {
    'the valid one again': free.without,
    [`${count} wrong ones`]: free.beside,
    'the valid one again, with limits': limited.without,
    [`${count} wrong ones, with limits`]: limited.beside,
  }
  return {
    table: formatTable(
      Object.entries(rows).map(([beside, row]) => ({ 'beside a valid key': beside, ...shown(row) })),
    ),
    goals: goalsOf.wrongKeys({
      thrown: count,
      digests: free.beside.digests,
      again: free.beside.again,
      grownMib: free.beside.mostMib - free.without.mostMib,
      p99Ratio: free.beside.p99Ms / free.without.p99Ms,
      limitedP99Ratio: limited.beside.p99Ms / limited.without.p99Ms,
    }),
    results: { count, times: TIMES, ...rows },
  }
}

type Checks = Omit<Lane, 'name' | 'inFlight'>

const validChecks = ({ apiKey }: Platform): Checks => ({
  message: checkRequest(apiKey).toString('base64'),
  expected: 'admitted',
})

const wrongChecks = (count: number): Checks => ({
  ...checksOf(unknownKeys(count), { once: true, times: TIMES }),
  expected: 'refused',
})

interface Used extends LookUps {
  readonly perSecond: number
  readonly besidePerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly mostMib: number
  readonly isDisturbed: boolean
}

/** Uses the valid key, beside other calls, as many at a time; until so long, or until the others come to their end. */
async function useBeside(
  { platform, whenQuiet }: Bench,
  keys: CountingKeys,
  other: () => Checks & { seconds?: number },
): Promise<Used> {
  const inFlight = IN_FLIGHT / 2
  const { value, isDisturbed } = await whenQuiet([platform.authPid()], async () => {
    keys.taken()
    const { seconds, ...checks } = other()
    const lanes = [
      { name: 'valid', inFlight, ...validChecks(platform) },
      { name: 'other', inFlight, ...checks },
    ]
    const order = { port: platform.checkPort, headers: checkHeaders, lanes }
    const load = await applyCalls(seconds === undefined ? order : { ...order, seconds })
    return { ...load, ...keys.taken() }
  })
  const { lanes, seconds, calls, digests, again } = value
  return {
    perSecond: (lanes.valid?.calls ?? Number.NaN) / seconds,
    besidePerSecond: (lanes.other?.calls ?? Number.NaN) / seconds,
    p50Ms: lanes.valid?.p50Ms ?? Number.NaN,
    p99Ms: lanes.valid?.p99Ms ?? Number.NaN,
    mostMib: residentKib(platform.authPid(), 'VmHWM') / KIB_A_MIB,
    ...{ calls, digests, again, isDisturbed },
  }
}

const shown = (used: Used) => ({
  'calls/s': used.perSecond,
  'of the other': used.besidePerSecond,
  'p50 ms': used.p50Ms,
  'p99 ms': used.p99Ms,
  'look-ups': used.calls,
  digests: used.digests,
  again: used.again,
  'auth MiB at its most': used.mostMib,
  disturbed: used.isDisturbed ? 1 : '',
})
