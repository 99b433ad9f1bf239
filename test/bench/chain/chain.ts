import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startEnvoy } from '@instatunnel/local/envoy'
import { startTestStack } from '@instatunnel/test/stack'
import { cpuMicroseconds, treeCpuMicroseconds } from '../cpu.ts'
import { applyLoad, type LoadTarget } from './load.ts'

/** Something to measure: where the load goes, and which processes work for it. */
export interface Chain {
  readonly name: string
  readonly target: LoadTarget
  readonly pids: Readonly<Record<string, number>>
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
  const script = fileURLToPath(new URL('./idle-services.ts', import.meta.url))
  const idle = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const { value: port } = await createInterface(idle.stdout)[Symbol.asyncIterator]().next()
  const address = [`127.0.0.1:${port}`]
  const runDir = await mkdtemp(join(tmpdir(), 'instatunnel-bench-'))
  const services = { auth: address, keys: address, tunnels: address, relay: address }
  const envoy = await startEnvoy({
    runDir,
    port: 0,
    services,
    apiHosts: ['localhost'],
    visitorDomain: 'localhost',
    trustedHops: 0,
  })
  return {
    name: 'do-nothing',
    target: { port: envoy.port, path: PATH, headers: { authorization: 'Bearer it_0123456789abcdef' } },
    pids: { envoy: envoy.pid, 'do-nothing': idle.pid as number },
    async stop() {
      await envoy.stop()
      idle.stdin.end()
      await rm(runDir, { recursive: true, force: true })
    },
  }
}

/** Applies load to a chain and tells what it gave and cost. */
export async function measure(chain: Chain, durationMs: number): Promise<ChainRun> {
  const before = cpuOf(chain)
  const load = await applyLoad(withHost(chain.target), CONNECTIONS, durationMs)
  const after = cpuOf(chain)
  const perRequest = Object.keys(after).map((name) => [
    name,
    ((after[name] ?? 0) - (before[name] ?? 0)) / load.requests,
  ])
  const { requestsPerSecond, p50Ms, p99Ms } = load
  return {
    chain: chain.name,
    requestsPerSecond,
    p50Ms,
    p99Ms,
    cpuMicroseconds: Object.fromEntries(perRequest),
  }
}

const withHost = (target: LoadTarget): LoadTarget => ({
  ...target,
  headers: { ...target.headers, host: 'localhost' },
})

const cpuOf = ({ pids }: Chain): Record<string, number> =>
  Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => [
      name,
      name === 'postgres' ? treeCpuMicroseconds(pid) : cpuMicroseconds(pid),
    ]),
  )
