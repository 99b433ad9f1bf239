import { formatGoals, type Goal } from '../goals.ts'
import { type Result, totalCpu } from './result.ts'

/** What our tunnel is to reach: `measured` is about it alone, or beside a peer. */
interface TunnelGoal extends Omit<Goal, 'measured'> {
  readonly beside?: 'bore' | 'localtunnel'
  measured(ours: Result, peer: Result): number
}

const rate = ({ small }: Result, connections: number) => small[connections]?.requestsPerSecond ?? Number.NaN
const requests = (connections: number) => (ours: Result, peer: Result) =>
  rate(ours, connections) / rate(peer, connections)
const download = (streams: number) => (ours: Result, peer: Result) =>
  (ours.download[streams] ?? Number.NaN) / (peer.download[streams] ?? Number.NaN)
const p99Ms = (connections: number) => (ours: Result) => ours.small[connections]?.p99Ms ?? Number.NaN
const cpu = (ours: Result, peer: Result) => totalCpu(ours.small[32]) / totalCpu(peer.small[32])

const goals: readonly TunnelGoal[] = [
  { says: 'requests/s at 32', beside: 'localtunnel', atLeast: 8, measured: requests(32) },
  { says: 'requests/s at 4', beside: 'localtunnel', atLeast: 3, measured: requests(4) },
  { says: 'requests/s at 32', beside: 'bore', atLeast: 0.35, measured: requests(32) },
  { says: 'requests/s at 4', beside: 'bore', atLeast: 0.35, measured: requests(4) },
  { says: 'download ×1', beside: 'bore', atLeast: 0.85, measured: download(1) },
  { says: 'download ×8', beside: 'bore', atLeast: 0.85, measured: download(8) },
  { says: 'µs of both ends at 32', beside: 'localtunnel', below: 1 / 8, measured: cpu },
  { says: 'p99 ms at 32', below: 6, measured: p99Ms(32) },
  { says: 'p99 ms at 4', below: 6, measured: p99Ms(4) },
  { says: 'first answer ms', below: 400, measured: ({ firstAnswerMs = Number.NaN }) => firstAnswerMs },
]

/** Which of the goals a contender reaches; those beside a peer that was not measured are not known. */
export function formatTunnelGoals(results: readonly Result[], name: string): string {
  const resultOf = (wanted: string) => results.find((result) => result.name === wanted)
  const ours = resultOf(name)
  if (!ours) throw new Error(`${name} was not measured`)
  return formatGoals(
    name,
    goals.map(({ says, beside, measured, ...bounds }) => {
      const peer = beside ? resultOf(beside) : ours
      return {
        ...bounds,
        says: beside ? `${says}, of ${beside}'s` : says,
        measured: peer ? measured(ours, peer) : Number.NaN,
      }
    }),
  )
}
