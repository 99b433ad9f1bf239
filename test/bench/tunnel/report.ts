import { formatTable } from '../table.ts'
import { formatTunnelGoals } from './goals.ts'
import type { IdleMemory } from './idle.ts'
import { bulkStreams, smallConnections } from './measure.ts'
import { type Result, totalCpu } from './result.ts'

/** With whom each is compared. */
const compared = ['bore', 'localtunnel']

/** The results for people: a table of each thing measured, and what of it was to be reached. */
export function formatReport(results: readonly Result[], idle: IdleMemory): string {
  return [
    ...smallConnections.map((connections) => smallTable(results, connections)),
    bulkTable(results),
    idleTable(idle),
    formatTunnelGoals(results, 'instatunnel'),
    'of …: a share of what that reached in the same run; µs is processor time per request.',
    ...disturbance(results),
  ].join('\n\n')
}

function disturbance(results: readonly Result[]): string[] {
  const sum = (field: 'runs' | 'disturbed') => results.reduce((total, result) => total + result[field], 0)
  const disturbed = sum('disturbed')
  if (disturbed === 0) return []
  return [
    `In ${disturbed} of ${sum('runs')} runs other programs never left the machine alone: measure again.`,
  ]
}

function smallTable(results: readonly Result[], connections: number): string {
  const processes = [
    ...new Set(results.flatMap(({ small }) => Object.keys(small[connections]?.cpuMicroseconds ?? {}))),
  ]
  return formatTable(
    results.map((result) => {
      const run = result.small[connections]
      return {
        [`small GETs, ${connections} connections`]: result.name,
        'requests/s': run?.requestsPerSecond ?? '',
        ...ratios(results, result, ({ small }) => small[connections]?.requestsPerSecond),
        'p50 ms': run?.p50Ms ?? '',
        'p99 ms': run?.p99Ms ?? '',
        ...Object.fromEntries(processes.map((name) => [`${name} µs`, run?.cpuMicroseconds[name] ?? ''])),
        'all µs': totalCpu(run) || '',
      }
    }),
  )
}

function bulkTable(results: readonly Result[]): string {
  return formatTable(
    results.map((result) => ({
      'MiB/s': result.name,
      ...Object.fromEntries(
        (['download', 'upload'] as const).flatMap((way) =>
          bulkStreams.map((streams) => [`${way} ×${streams}`, result[way][streams] ?? '']),
        ),
      ),
      ...ratios(results, result, ({ download }) => download[1], 'download ×1 '),
      'first answer ms': result.firstAnswerMs ?? '',
    })),
  )
}

function idleTable({ tunnels, relay, envoy, agent, command }: IdleMemory): string {
  return formatTable([
    {
      [`KiB for each of ${tunnels} idle tunnels`]: 'instatunnel',
      relay,
      envoy,
      'agent, many in a process': agent,
      'the process of a command': command,
    },
  ])
}

/** A thing measured, in shares of what those reached with whom each is compared. */
function ratios(
  results: readonly Result[],
  result: Result,
  measured: (result: Result) => number | undefined,
  what = '',
): Record<string, number> {
  const others = results.filter(({ name }) => compared.includes(name))
  const shares = others.map((other) => [`${what}of ${other.name}`, share(measured(result), measured(other))])
  return Object.fromEntries(shares)
}

const share = (part = Number.NaN, whole = Number.NaN) => part / whole
