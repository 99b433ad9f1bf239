import { digestOf } from '@instatunnel/kit/secret'
import { residentKib } from '../memory.ts'
import { formatTable } from '../table.ts'
import { IN_FLIGHT } from './check-entrant.ts'
import { checkHeaders, checkRequest } from './check-request.ts'
import { type CountingKeys, type LookUps, startCountingKeys } from './counting-keys.ts'
import { checksOf, unknownKeys } from './filled-keys.ts'
import { applyCalls } from './load/apply.ts'
import type { Lane } from './load/lane.ts'
import type { Part } from './measured.ts'
import { NO_LIMITS, type Platform } from './platform.ts'

/** Wrong keys for each second of a round: a million at five. */
const KEYS_A_SECOND = 200_000
/** Each comes twice: the second time nobody need be asked about it. */
const TIMES = 2
/** More than it takes to remember as many wrong keys as there may be. */
const GROWN_MIB_MAX = 200
const KIB_A_MIB = 1024

/** What wrong keys do to a valid one: half of the calls under way are theirs; without limits, and as they are by default. */
export const wrongKeys: Part = async ({ platform, seconds }) => {
  await using closing = new AsyncDisposableStack()
  const real = platform.stack.service('keys').address
  const keys = closing.adopt(await startCountingKeys(real, [digestOf(platform.apiKey)]), (open) =>
    open.stop(),
  )
  closing.defer(() => platform.restartAuth({ ...NO_LIMITS, KEYS_ADDRESS: real }))

  const count = KEYS_A_SECOND * seconds
  const measure = async (limits: Record<string, string>) => {
    await platform.restartAuth({ ...limits, KEYS_ADDRESS: keys.address })
    const without = await useBeside(platform, keys, validChecks(platform), seconds)
    const beside = await useBeside(platform, keys, wrongChecks(count))
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
    goals: [
      {
        says: 'wrong keys: digests looked up, of those thrown',
        atMost: 1,
        measured: free.beside.digests / count,
      },
      { says: 'wrong keys: digests looked up again', atMost: 0, measured: free.beside.again },
      {
        says: 'wrong keys: MiB by which auth grows',
        below: GROWN_MIB_MAX,
        measured: free.beside.mostMib - free.without.mostMib,
      },
      {
        says: 'wrong keys: p99 of a valid one, of that without them',
        atMost: 2,
        measured: free.beside.p99Ms / free.without.p99Ms,
      },
      {
        says: 'wrong keys, with limits: p99 of a valid one',
        atMost: 2,
        measured: limited.beside.p99Ms / limited.without.p99Ms,
      },
    ],
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
}

/** Uses the valid key, beside other calls, as many at a time. */
async function useBeside(
  platform: Platform,
  keys: CountingKeys,
  other: Checks,
  seconds?: number,
): Promise<Used> {
  keys.taken()
  const inFlight = IN_FLIGHT / 2
  const { lanes, ...load } = await applyCalls({
    port: platform.checkPort,
    headers: checkHeaders,
    lanes: [
      { name: 'valid', inFlight, ...validChecks(platform) },
      { name: 'other', inFlight, ...other },
    ],
    ...(seconds === undefined ? {} : { seconds }),
  })
  const { calls = Number.NaN, p50Ms = Number.NaN, p99Ms = Number.NaN } = lanes.valid ?? {}
  return {
    perSecond: calls / load.seconds,
    besidePerSecond: (lanes.other?.calls ?? Number.NaN) / load.seconds,
    p50Ms,
    p99Ms,
    mostMib: residentKib(platform.authPid(), 'VmHWM') / KIB_A_MIB,
    ...keys.taken(),
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
})
