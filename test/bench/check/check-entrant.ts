import { meterCpu, type Pids } from '../cpu.ts'
import { checkHeaders, checkRequest } from './check-request.ts'
import { applyCalls } from './load/apply.ts'
import type { Lane } from './load/lane.ts'
import { type Entrant, runOf } from './rounds.ts'

/** So many Checks are under way at a time, unless it is said otherwise. */
export const IN_FLIGHT = 32

/** Something that answers Check, asked about one credential over and over. */
export const checkEntrant = (
  name: string,
  { port, pids, bearer }: { port: number; pids: Pids; bearer: string },
): Entrant =>
  callsEntrant(name, {
    port,
    pids,
    headers: async () => checkHeaders,
    lane: { message: checkRequest(bearer).toString('base64'), expected: 'admitted' },
  })

/** Something that is called over gRPC. */
export const callsEntrant = (
  name: string,
  {
    port,
    pids,
    headers,
    lane,
  }: {
    port: number
    pids: Pids
    /** Of each call, as they are when a run begins. */
    headers: () => Promise<Readonly<Record<string, string>>>
    lane: Omit<Lane, 'name' | 'inFlight'>
  },
): Entrant => ({
  name,
  pids,
  async run(seconds) {
    const lanes = [{ name, inFlight: IN_FLIGHT, ...lane }]
    const order = { port, headers: await headers(), lanes, seconds }
    const used = meterCpu(pids)
    const load = await applyCalls(order)
    const { calls = 0, p50Ms = Number.NaN, p99Ms = Number.NaN } = load.lanes[name] ?? {}
    return runOf({ count: calls, seconds: load.seconds, p50Ms, p99Ms }, used())
  },
})
