import { connect, type Socket } from 'node:net'
import type { ConnectClaims, ConnectCredential } from '@instatunnel/kit/connect'
import { newId } from '@instatunnel/kit/id'
import { createLog } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { newKeyPair } from '@instatunnel/test/identity'
import { type Answer, restClient } from '@instatunnel/test/rest-client'
import { onTestFinished } from 'vitest'
import { readConfig } from '../src/config.ts'
import { start } from '../src/start.ts'
import { type Admitted, type AgentRequest, askToConnect, type Refused } from './connect-agent.ts'
import type { Neighbours } from './neighbours.ts'

export const DOMAIN = 'example.com'
const relayKey = newKeyPair()

/** A tunnel that a test has made, as the relay hears of it. */
export interface Tunnel {
  readonly id: string
  readonly subdomain: string
  readonly userId: string
}

/** How one of its agents connects. */
export interface AgentOptions extends Partial<Omit<AgentRequest, 'tunnelId'>> {
  readonly credential?: ConnectCredential
  readonly tokenGeneration?: number
  readonly claims?: Partial<ConnectClaims>
}

/** A relay, and those who come to it. */
export interface StartedRelay {
  readonly port: number
  /** What it has logged. */
  readonly logged: readonly string[]
  /** Connects an agent. */
  agent(tunnel: Tunnel, options?: AgentOptions): Promise<Admitted>
  /** Has an agent ask, whatever the answer. */
  ask(tunnel: Tunnel, options?: AgentOptions): Promise<Admitted | Refused>
  /** A visitor's request, and the answer. */
  visit(subdomain: string, options?: Visit): Promise<Answer>
  /** A visitor's connection, raw. */
  visitor(): Promise<Socket>
  /** What the gateway's health check hears. */
  health(): Promise<number>
  /** What the same says of the clock. */
  clock(): Promise<unknown>
  close(): Promise<void>
}

interface Visit {
  readonly method?: string
  readonly path?: string
  readonly body?: string
  readonly headers?: Record<string, string>
}

/** Starts the service itself, by these settings. */
export type Launch = (environment: Readonly<Record<string, string>>) => Promise<Running>

/** The settings of a relay; any two of them know one another. */
export const relayEnvironment = (
  neighbours: Pick<Neighbours, 'address'>,
  nats: { url: string; seeds: { relay: string } },
): Record<string, string> => ({
  LISTEN: '127.0.0.1:0',
  PEER_LISTEN: '127.0.0.1:0',
  AUTH_ADDRESS: neighbours.address,
  TUNNELS_ADDRESS: neighbours.address,
  NATS_URL: nats.url,
  NATS_SEED: nats.seeds.relay,
  SERVICE_KEY: relayKey.privateKey,
  SERVICE_PUBLIC_KEYS: JSON.stringify({ relay: relayKey.publicKey }),
  DOMAIN,
  PUBLIC_URL: `https://${DOMAIN}`,
  LOG_LEVEL: 'silent',
})

let tunnels = 0

/** A tunnel of its own user's, with a name that no other has. */
export function newTunnel(of: Partial<Tunnel> = {}): Tunnel {
  const time = new Date()
  return { id: newId('tun_', time), subdomain: `docs-${++tunnels}`, userId: newId('user_', time), ...of }
}

/** Starts a relay, in this process unless it is said otherwise; it ends with the test. */
export async function startRelay(
  neighbours: Neighbours,
  nats: { url: string; seeds: { relay: string } },
  {
    settings = {},
    now,
    wallClock,
    launch,
  }: {
    settings?: Record<string, string>
    now?: () => Date
    wallClock?: () => Date
    launch?: Launch
  } = {},
): Promise<StartedRelay> {
  const environment = { ...relayEnvironment(neighbours, nats), ...settings }
  const logged: string[] = []
  const log = createLog('relay', 'debug', { write: (line) => logged.push(line) })
  const running = launch
    ? await launch(environment)
    : await start(readConfig(environment), log, { ...(now && { now }), ...(wallClock && { wallClock }) })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= running.close()
    return closing
  }
  onTestFinished(close)
  const call = restClient({ port: running.port })
  const healthCheck = () => call('GET', '/', { headers: { 'x-instatunnel-health': '1' } })

  const ask: StartedRelay['ask'] = async (
    tunnel,
    { credential, tokenGeneration = 0, claims, ...asked } = {},
  ) => {
    const { id, subdomain, userId } = tunnel
    const token = await neighbours.sign(userId, {
      tunnel: { id, subdomain, tokenGeneration },
      credential: credential ?? { type: 'api_key', id: `key of ${id}` },
      ...claims,
    })
    return askToConnect(running.port, { token, tunnelId: id, ...asked })
  }
  return {
    port: running.port,
    logged,
    ask,
    async agent(tunnel, options) {
      const answer = await ask(tunnel, options)
      if (!('link' in answer)) throw new Error(JSON.stringify(answer.body))
      onTestFinished(() => answer.link.destroy())
      return answer
    },
    visit: (subdomain, { method = 'GET', path = '/', body, headers = {} } = {}) =>
      call(method, path, { body, headers: { ...headers, host: `${subdomain}.${DOMAIN}` } }),
    visitor: () =>
      new Promise((resolve) => {
        const socket = connect(running.port, '127.0.0.1', () => resolve(socket))
        socket.on('error', () => {})
        onTestFinished(() => {
          socket.destroy()
        })
      }),
    health: async () => (await healthCheck()).status,
    clock: async () => (await healthCheck()).headers['x-instatunnel-clock'],
    close,
  }
}
