import type { Goal } from '../goals.ts'
import { type Result, totalCpu } from './rounds.ts'
import { compare } from './runs-table.ts'

/** What those are called that goals are about. */
export const names = {
  key: 'auth, API key',
  grpcJs: 'grpc-js, does nothing',
  go: 'Go, does nothing',
  without: 'no ext_authz',
  plain: 'a key',
  remaining: 'with remaining',
  window: 'with a window of its own',
  check: 'Check',
  betterAuth: 'better-auth',
  secondary: 'better-auth, secondary storage',
  fastest: 'better-auth, fastest',
} as const

/** What of many keys in use there are goals for. */
export interface ManyKeys {
  readonly mostMib: number
  readonly p99Ms: number
  /** Of one key alone. */
  readonly oneP99Ms: number
}

/** What of wrong keys there are goals for. */
export interface WrongKeys {
  readonly thrown: number
  /** Looked up of them, and how many of those not for the first time. */
  readonly digests: number
  readonly again: number
  readonly grownMib: number
  /** How many times a valid key's p99 alone that beside them is; the same with limits as they are by default. */
  readonly p99Ratio: number
  readonly limitedP99Ratio: number
}

/** More than it takes to remember as many wrong keys as may be remembered, and the garbage of looking them up. */
const GROWN_MIB = 200

const rate = ({ perSecond }: Result) => perSecond

/** What each part is to reach. */
export const goalsOf = {
  alone: (results: readonly Result[]): Goal[] => {
    const { key, grpcJs, go } = names
    return [
      {
        says: "Check: µs a call, of grpc-js's",
        atMost: 0.6,
        measured: compare(results, key, grpcJs, totalCpu),
      },
      { says: "Check: calls/s, of grpc-js's", atLeast: 1.7, measured: compare(results, key, grpcJs, rate) },
      { says: "Check: µs a call, of Go's", atMost: 1.3, measured: compare(results, key, go, totalCpu) },
    ]
  },
  chain: (results: readonly Result[]): Goal[] => {
    const { key, grpcJs, without } = names
    return [
      {
        says: 'chain: requests/s, of those without ext_authz',
        atLeast: 0.65,
        measured: compare(results, key, without, rate),
      },
      {
        says: "chain: requests/s, of those with grpc-js's",
        atLeast: 1.15,
        measured: compare(results, key, grpcJs, rate),
      },
    ]
  },
  metered: (results: readonly Result[]): Goal[] =>
    [names.remaining, names.window].map((name) => ({
      says: `a key ${name}: calls/s, of one without`,
      atLeast: 0.8,
      measured: compare(results, name, names.plain, rate),
    })),
  firstUse: ({ p99Ms }: { p99Ms: number }): Goal[] => [
    { says: 'the first use of a key: p99 ms', atMost: 15, measured: p99Ms },
  ],
  betterAuth: (results: readonly Result[]): Goal[] =>
    [
      { name: names.betterAuth, atLeast: 40 },
      { name: names.secondary, atLeast: 4 },
      { name: names.fastest, atLeast: 4 },
    ].map(({ name, atLeast }) => ({
      says: `verifications a CPU-second, of those of ${name}`,
      atLeast,
      measured: compare(results, name, names.check, totalCpu),
    })),
  manyKeys: ({ mostMib, p99Ms, oneP99Ms }: ManyKeys): Goal[] => [
    { says: 'many keys: MiB of auth at its most', below: 400, measured: mostMib },
    { says: "many keys: p99, of one key's", atMost: 2, measured: p99Ms / oneP99Ms },
  ],
  wrongKeys: ({ thrown, digests, again, grownMib, p99Ratio, limitedP99Ratio }: WrongKeys): Goal[] => [
    { says: 'wrong keys: looked up, of those thrown', atMost: 1, measured: digests / thrown },
    { says: 'wrong keys: looked up again', atMost: 0, measured: again },
    { says: 'wrong keys: MiB by which auth grows', below: GROWN_MIB, measured: grownMib },
    { says: 'wrong keys: p99 of a valid one, of that without them', atMost: 2, measured: p99Ratio },
    { says: 'the same, with limits', atMost: 2, measured: limitedP99Ratio },
  ],
}
