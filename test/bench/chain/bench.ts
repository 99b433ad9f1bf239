import { writeResults } from '../results.ts'
import { formatTable, median } from '../table.ts'
import { type Chain, type ChainRun, measure, startIdleChain, startPlatform } from './chain.ts'

const ROUNDS = 3
const WARM_UP_MS = 2000

/**
 * GET /v1/tunnels through the whole chain, beside the same chain with services that do nothing, in turns in one run.
 * Machines are noisy: read the ratios.
 */
export async function benchChain(seconds: number): Promise<void> {
  const [platform, idle] = await Promise.all([startPlatform(), startIdleChain()])
  const chains = [...platform, idle]
  try {
    for (const chain of chains) await measure(chain, WARM_UP_MS)
    const runs: ChainRun[] = []
    for (let round = 0; round < ROUNDS; round++) {
      for (const chain of chains) runs.push(await measure(chain, seconds * 1000))
    }
    await report(
      chains.map((chain) => summary(chain, runs)),
      seconds,
    )
  } finally {
    await Promise.all(chains.map((chain) => chain.stop()))
  }
}

/** The medians of a chain's runs. */
function summary({ name, pids }: Chain, runs: readonly ChainRun[]) {
  const own = runs.filter((run) => run.chain === name)
  const cpu = Object.keys(pids).map((process) => [
    process,
    median(own.map((run) => run.cpuMicroseconds[process] ?? 0)),
  ])
  return {
    chain: name,
    requestsPerSecond: median(own.map((run) => run.requestsPerSecond)),
    p50Ms: median(own.map((run) => run.p50Ms)),
    p99Ms: median(own.map((run) => run.p99Ms)),
    cpuMicroseconds: Object.fromEntries(cpu) as Record<string, number>,
  }
}

async function report(summaries: ReturnType<typeof summary>[], seconds: number): Promise<void> {
  const base = summaries.at(-1)
  if (!base) return
  const totalOf = (cpu: Record<string, number>) => Object.values(cpu).reduce((sum, each) => sum + each, 0)
  const results = summaries.map((each) => ({
    ...each,
    ratio: {
      requestsPerSecond: each.requestsPerSecond / base.requestsPerSecond,
      p99Ms: each.p99Ms / base.p99Ms,
      cpu: totalOf(each.cpuMicroseconds) / totalOf(base.cpuMicroseconds),
    },
  }))
  const rows = results.map(({ chain, requestsPerSecond, p50Ms, p99Ms, cpuMicroseconds: cpu, ratio }) => ({
    'GET /v1/tunnels': chain,
    'requests/s': requestsPerSecond,
    ratio: ratio.requestsPerSecond,
    'p50 ms': p50Ms,
    'p99 ms': p99Ms,
    ...Object.fromEntries(
      ['envoy', 'auth', 'keys', 'tunnels', 'postgres', 'nats'].map((name) => [`${name} µs`, cpu[name] ?? '']),
    ),
    'all µs': totalOf(cpu),
  }))
  const file = await writeResults('bench.json', { connections: 32, seconds, rounds: ROUNDS, results })
  console.log(
    `${formatTable(rows)}\n\nµs is processor time per request; ratio is to do-nothing. As JSON: ${file}`,
  )
}
