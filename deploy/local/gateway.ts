import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type EnvoyOptions, startEnvoy } from './envoy.ts'
import { loopbackAddresses, portOrFree } from './ports.ts'
import type { Exit, RunningProcess } from './process.ts'

const healthTimeoutMs = 60_000
const healthPollMs = 50

/** The front door. */
export interface Gateway {
  readonly url: string
  readonly port: number
  /** Envoy as it runs now; another after start(). */
  process(): RunningProcess
  /** GET on Envoy's admin interface. */
  admin(path: string): Promise<string>
  stop(): Promise<Exit>
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /** Starts it again on the same port. */
  start(): Promise<void>
  /** Resolves once GET /healthz answers 200: the gateway and every service are serving. */
  healthy(signal?: AbortSignal): Promise<void>
}

/** Starts Envoy on `dataDir`/envoy for the API host `domain` and its neighbours. */
export async function startGateway(
  options: { dataDir: string; domain: string } & Pick<
    EnvoyOptions,
    'port' | 'services' | 'trustedHops' | 'connectionsPerAddress'
  >,
): Promise<Gateway> {
  const { dataDir, domain, services, trustedHops, connectionsPerAddress } = options
  const port = await portOrFree(options.port)
  const apiHosts = [...new Set([domain, `api.${domain}`, 'localhost', '127.0.0.1', '[::1]'])]
  const addresses = loopbackAddresses()
  const runDir = join(dataDir, 'envoy')
  const logFile = join(dataDir, 'logs/envoy.log')
  const start = () =>
    startEnvoy({
      runDir,
      logFile,
      addresses,
      port,
      services,
      apiHosts,
      visitorDomain: domain,
      trustedHops,
      connectionsPerAddress,
    })

  let envoy = await start()
  return {
    url: `http://${domain}:${port}`,
    port,
    process: () => envoy.process,
    admin: (path) => envoy.admin(path),
    stop: () => envoy.stop(),
    kill: (signal) => envoy.kill(signal),
    async start() {
      envoy = await start()
    },
    async healthy(signal) {
      const deadline = Date.now() + healthTimeoutMs
      for (;;) {
        const status = await healthStatus({ port, domain })
        if (status === 200) return
        signal?.throwIfAborted() // with its reason
        if (Date.now() > deadline) throw new Error(`GET /healthz answers ${status}, not 200`)
        await delay(healthPollMs)
      }
    },
  }
}

/** The status of GET /healthz, or why there was none. */
function healthStatus({ port, domain }: { port: number; domain: string }): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/healthz', headers: { host: domain }, agent: false, timeout: 2000 },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      },
    )
    asked.on('timeout', () => asked.destroy())
    asked.on('error', (error) => resolve(error.message))
    asked.end()
  })
}
