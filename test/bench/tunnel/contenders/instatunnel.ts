import { fileURLToPath } from 'node:url'
import { startCommand } from '../command.ts'
import type { Platform } from '../platform.ts'
import type { Contender } from './contender.ts'

const connectDirectly = fileURLToPath(new URL('../connect-directly.ts', import.meta.url))

/** Our relay, met by visitors and agent directly: what the others are compared with. */
export const relayAlone = (platform: Platform): Contender => ({
  name: 'instatunnel',
  peer: false,
  async start({ port }) {
    const { relay } = platform
    const { id, subdomain } = await platform.tunnel(port)
    return {
      pids: { server: relay.pid },
      async connect() {
        const agent = await startCommand(platform, {
          port,
          subdomain,
          env: {
            NODE_OPTIONS: `--import ${connectDirectly}`,
            BENCH_RELAY: `http://127.0.0.1:${relay.port}`,
            BENCH_CONNECT_HEADERS: JSON.stringify(await platform.connectHeaders(id)),
          },
        })
        const place = { port: relay.port, host: `${subdomain}.localhost` }
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
  async start({ port }) {
    const { relay, gateway } = platform
    const { subdomain } = await platform.tunnel(port)
    return {
      pids: { server: relay.pid, envoy: gateway.pid },
      async connect() {
        const agent = await startCommand(platform, { port, subdomain })
        const place = { port: gateway.port, host: `${subdomain}.localhost` }
        return { place, pids: { agent: agent.pid }, stop: agent.stop }
      },
      stop: async () => {},
    }
  },
})
