import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Envoy, type EnvoyOptions, startEnvoy } from '@instatunnel/local/envoy'

/** The gateway with a Check and a tunnels of one's own, each by its port. */
export async function startGateway(
  { check, tunnels }: { check: number; tunnels: number },
  options: Pick<EnvoyOptions, 'concurrency' | 'edit'> = {},
): Promise<Envoy> {
  const runDir = await mkdtemp(join(tmpdir(), 'instatunnel-bench-'))
  const at = (port: number) => [`127.0.0.1:${port}`]
  const envoy = await startEnvoy({
    ...options,
    runDir,
    port: 0,
    services: {
      check: at(check),
      auth: at(tunnels),
      keys: at(tunnels),
      tunnels: at(tunnels),
      relay: at(tunnels),
    },
    apiHosts: ['localhost'],
    visitorDomain: 'localhost',
    trustedHops: 0,
    connectionsPerAddress: 0,
  })
  return {
    ...envoy,
    async stop() {
      const exit = await envoy.stop()
      await rm(runDir, { recursive: true, force: true })
      return exit
    },
  }
}
