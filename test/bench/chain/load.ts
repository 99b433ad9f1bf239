import { Agent, type OutgoingHttpHeaders, request } from 'node:http'

/** What a run of load met. */
export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** One GET as it is sent over and over. */
export interface LoadTarget {
  readonly port: number
  readonly path: string
  readonly headers: OutgoingHttpHeaders
}

/** GETs the target over so many connections, each with one request at a time, and stops at the first answer but 200. */
export async function applyLoad(
  target: LoadTarget,
  connections: number,
  durationMs: number,
): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const latencies: number[] = []
  const begun = performance.now()
  const repeat = async () => {
    while (performance.now() - begun < durationMs) {
      const sent = performance.now()
      await getOnce(agent, target)
      latencies.push(performance.now() - sent)
    }
  }
  try {
    await Promise.all(Array.from({ length: connections }, repeat))
  } finally {
    agent.destroy()
  }
  const seconds = (performance.now() - begun) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN
  return {
    requests: latencies.length,
    requestsPerSecond: latencies.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}

function getOnce(agent: Agent, { port, path, headers }: LoadTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${path} answered ${response.statusCode}`))
      response.on('end', resolve).on('error', reject).resume()
    })
    sent.on('error', reject).end()
  })
}
