import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repository } from '@instatunnel/local/repository'
import { startMeasured } from '../cores.ts'
import type { Platform } from '../platform.ts'
import type { Contender } from './contender.ts'

const script = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** Our relay, met by visitors and agent directly: what the others are compared with. */
export const relayAlone = (platform: Platform): Contender => ({
  name: 'instatunnel',
  peer: false,
  async start(target) {
    const { relay, gateway } = platform
    const { id, subdomain } = await platform.tunnel()
    return {
      pids: { server: relay.pid },
      async connect() {
        const agent = await startAgents(platform, {
          port: target.port,
          tunnelIds: [id],
          nodeArgs: ['--import', script('connect-directly.ts')],
          env: {
            BENCH_RELAY: `http://127.0.0.1:${relay.port}`,
            BENCH_CONNECT_HEADERS: JSON.stringify(await platform.connectHeaders(id)),
          },
        })
        const place = { port: relay.port, host: `${subdomain}.localhost:${gateway.port}` }
        return { place, pids: { agent: agent.pid }, stop: agent.stop }
      },
      stop: async () => {},
    }
  },
})

/** The same through the gateway, as it is in use. */
export const behindEnvoy = (platform: Platform): Contender => ({
  name: 'instatunnel, Envoy',
  peer: false,
  async start(target) {
    const { relay, gateway } = platform
    const { id, subdomain } = await platform.tunnel()
    return {
      pids: { server: relay.pid, envoy: gateway.pid },
      async connect() {
        const agent = await startAgents(platform, { port: target.port, tunnelIds: [id] })
        const place = { port: gateway.port, host: `${subdomain}.localhost:${gateway.port}` }
        return { place, pids: { agent: agent.pid }, stop: agent.stop }
      },
      stop: async () => {},
    }
  },
})

/** Agents of these tunnels in one process. */
export const startAgents = (
  { gateway, apiKey }: Platform,
  {
    port,
    tunnelIds,
    nodeArgs = [],
    env = {},
  }: {
    port: number
    tunnelIds: readonly string[]
    nodeArgs?: readonly string[]
    env?: Readonly<Record<string, string>>
  },
) =>
  startMeasured({
    name: 'agent',
    command: process.execPath,
    args: [...nodeArgs, script('agent-process.ts'), gateway.url, `${port}`, ...tunnelIds],
    env: {
      INSTATUNNEL_API_KEY: apiKey,
      NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/bench'),
      ...env,
    },
  })
