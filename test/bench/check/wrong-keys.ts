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
/** So many of the calls under way bring the valid key; and as many others, whatever they bring. */
const HALF = IN_FLIGHT / 2
/** More of those that are to be asked about: they wait for keys, not for auth, and come as fast as keys can tell. */
const WAITING = 128
/** Where limits are as they are by default hardly any gets as far as keys: of a fifth that is as plain. */
const LIMITED_SHARE = 0.2
const KIB_A_MIB = 1024

/** What wrong keys do to a valid one, which is used all the while: without limits, and as they are by default. */
export const wrongKeys: Part = async (bench) => {
  const { platform, seconds } = bench
  await using closing = new AsyncDisposableStack()
  const real = platform.stack.service('keys').address
  const keys = closing.adopt(await startCountingKeys(real, [digestOf(platform.apiKey)]), (open) =>
    open.stop(),
  )
  closing.defer(() => platform.restartAuth({ ...NO_LIMITS, KEYS_ADDRESS: real }))

  const count = KEYS_A_SECOND * seconds
  const limitedCount = count * LIMITED_SHARE
  const measure = async (limits: Record<string, string>, wrong: () => Other) => {
    await platform.restartAuth({ ...limits, KEYS_ADDRESS: keys.address })
    const without = await useBeside(bench, keys, () => ({
      ...validChecks(platform),
      inFlight: HALF,
      seconds,
    }))
    const beside = await useBeside(bench, keys, wrong)
    return { without, beside }
  }
  const free = await measure({}, () => ({ ...wrongChecks(count), inFlight: WAITING }))
  const limited = await measure({ LIMIT_AUTH_PER_MINUTE: '10' }, () => ({
    ...wrongChecks(limitedCount),
    inFlight: HALF,
  }))
  const rows = {
    'the valid one again': free.without,
    [`${count} wrong ones`]: free.beside,
    'the valid one again, with limits': limited.without,
    [`${limitedCount} wrong ones, with limits`]: limited.beside,
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
    results: { count, limitedCount, times: TIMES, ...rows },
  }
}

type Checks = Omit<Lane, 'name' | 'inFlight'>
type Other = Omit<Lane, 'name'> & { readonly seconds?: number }

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

/** Uses the valid key beside other calls; for so long, or until those come to their end. */
async function useBeside(
  { platform, whenQuiet }: Bench,
  keys: CountingKeys,
  other: () => Other,
): Promise<Used> {
  const { value, isDisturbed } = await whenQuiet([platform.authPid()], async () => {
    await platform.othersGiveWay()
    keys.taken()
    const { seconds, ...checks } = other()
    const lanes = [
      { name: 'valid', inFlight: HALF, ...validChecks(platform) },
      { name: 'other', ...checks },
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
