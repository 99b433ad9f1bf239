import { startTestStack } from '@instatunnel/test/stack'
import { meterCpu, type Pids, perUnit } from '../cpu.ts'
import { startGateway } from '../idle/gateway.ts'
import { startIdle } from '../idle/start.ts'
import { applyLoad, type LoadTarget } from './load.ts'

/** Something to measure: where the load goes, and which processes work for it. */
export interface Chain {
  readonly name: string
  readonly target: LoadTarget
  readonly pids: Pids
  stop(): Promise<void>
}

/** What one run of load on a chain gave. */
export interface ChainRun {
  readonly chain: string
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time per request of each process. */
  readonly cpuMicroseconds: Readonly<Record<string, number>>
}

const PATH = '/v1/tunnels'
const CONNECTIONS = 32

/** The whole platform, called with an API key and with a session's token: two chains on one stack. */
export async function startPlatform(): Promise<Chain[]> {
  const unlimited = { LIMIT_READ_PER_MINUTE: '1000000' }
  const stack = await startTestStack({ settings: unlimited })
  const { body } = await stack.call('POST', '/v1/auth/register', {
    body: { email: 'bench@example.com', password: 'long enough to bench' },
  })
  const services = stack.services.map((service) => [service.name, service.process().pid])
  const pids = {
    envoy: stack.gateway.process().pid,
    ...(Object.fromEntries(services) as Record<string, number>),
    postgres: stack.postgres.process().pid,
    nats: stack.nats.process().pid,
  }
  const called = (name: string, credential: string, stop: () => Promise<void>): Chain => ({
    name,
    target: { port: stack.gateway.port, path: PATH, headers: { authorization: `Bearer ${credential}` } },
    pids,
    stop,
  })
  const { token, api_key: key } = body as { token: string; api_key: string }
  return [called('API key', key, () => stack.stop()), called('session', token, async () => {})]
}

/** The same gateway with an ext_authz and a backend on grpc-js that do nothing. */
export async function startIdleChain(): Promise<Chain> {
  const [check, tunnels] = await Promise.all([startIdle('check'), startIdle('backend')])
  const envoy = await startGateway({ check: check.port, tunnels: tunnels.port })
  return {
    name: 'do-nothing',
    target: { port: envoy.port, path: PATH, headers: { authorization: 'Bearer it_0123456789abcdef' } },
    pids: { envoy: envoy.pid, auth: check.pid, tunnels: tunnels.pid },
    async stop() {
      await envoy.stop()
      await Promise.all([check.stop(), tunnels.stop()])
    },
  }
}

/** Applies load to a chain and tells what it gave and cost. */
export async function measure(chain: Chain, durationMs: number): Promise<ChainRun> {
  const used = meterCpu(chain.pids)
  const load = await applyLoad(withHost(chain.target), CONNECTIONS, durationMs)
  const { requestsPerSecond, p50Ms, p99Ms } = load
  return {
    chain: chain.name,
    requestsPerSecond,
    p50Ms,
    p99Ms,
    cpuMicroseconds: perUnit(used(), load.requests),
  }
}

const withHost = (target: LoadTarget): LoadTarget => ({
  ...target,
  headers: { ...target.headers, host: 'localhost' },
})
