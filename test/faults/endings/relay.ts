import { request } from 'node:http'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { newId } from '@instatunnel/kit/id'
import { createLog } from '@instatunnel/kit/log'
import type { LiveRoute } from '@instatunnel/kit/relay-routes'
import type { LocalServer } from '../../../cli/src/agent/local-server.ts'
import { openSession, type Session } from '../../../cli/src/agent/session.ts'
import { createArrivals } from '../../../services/relay/src/arrivals.ts'
import type { Connections } from '../../../services/relay/src/connections.ts'
import { createConnections } from '../../../services/relay/src/connections.ts'
import { createFind } from '../../../services/relay/src/destination.ts'
import { takeAgents } from '../../../services/relay/src/http/agent.ts'
import { serveGateway } from '../../../services/relay/src/http/gateway-server.ts'
import { createPeers, servePeers } from '../../../services/relay/src/peers.ts'

const DOMAIN = 'example.com'
const now = () => new Date()

/** A relay in this process: its real ports, connections and ways to peers; no NATS, and whoever comes is admitted. */
export interface EndingRelay {
  readonly port: number
  readonly peerAddress: string
  readonly connections: Connections
  /** Everything that is open for a visitor: on links of agents, on links to peers, at the gateway's port. */
  open(): { streams: number; slots: number; peerStreams: number; visitors: number }
  /** Connections at the gateway's port. */
  sockets(): number
  close(): Promise<void>
}

/** Opens one. `routes` are the agents that are elsewhere; `onFault` hears of what went wrong in the relay's own code. */
export async function openEndingRelay(options: {
  readonly routes: () => readonly LiveRoute[]
  readonly responseTimeoutMs: number
  readonly onFault: (line: string) => void
}): Promise<EndingRelay> {
  const log = createLog('relay', 'error', { write: options.onFault })
  const connections = createConnections({
    log,
    now,
    maxRequests: 1000,
    maxWebSockets: 1000,
    onUp: () => {},
    onDown: () => {},
  })
  const served = await servePeers('127.0.0.1:0', {
    agents: () => connections,
    verifyService: async () => 'relay',
    tls: undefined,
    log,
  })
  const peers = createPeers({ sign: async () => 'token', tls: undefined, log })
  const meter = { request: () => {}, bytesIn: () => {}, bytesOut: () => {} }
  const server = await serveGateway({
    listen: '127.0.0.1:0',
    tls: undefined,
    clock: { isReady: () => true, state: () => 'exact' },
    isDraining: () => false,
    log,
    visits: {
      domain: DOMAIN,
      responseTimeoutMs: options.responseTimeoutMs,
      lingerMs: options.responseTimeoutMs,
      find: createFind({
        relayId: 'here',
        connections,
        routes: { routesTo: (name) => options.routes().filter(({ subdomain }) => subdomain === name) },
        peers,
        arrivals: createArrivals({ now }),
        known: { faultOf: async () => 'offline', forget: () => {} },
        meterOf: () => meter,
      }),
    },
    onAgent: takeAgents({
      connections,
      address: { domain: DOMAIN, gateway: new URL(`http://${DOMAIN}`) },
      log,
      now,
      admit: async ({ headers }, connect) => connect(admitted(String(headers[CONNECT_HEADER]))),
    }),
  })
  return {
    port: server.port,
    peerAddress: served.address,
    connections,
    open: () => ({
      streams: connections.all().reduce((sum, { link }) => sum + link.size, 0),
      slots: connections.all().reduce((sum, { taken }) => sum + taken, 0),
      peerStreams: peers.streams,
      visitors: server.visitors,
    }),
    sockets: () => server.connections,
    async close() {
      peers.close()
      connections.cut(() => true, 'leaving')
      connections.close()
      await Promise.all([served.close(), server.close()])
    },
  }
}

/** Connects the real agent's session to a relay, for the tunnel of this subdomain. */
export async function connectSession(
  relay: EndingRelay,
  { subdomain, local, onFault }: { subdomain: string; local: LocalServer; onFault: (error: unknown) => void },
): Promise<Session> {
  const { promise, resolve, reject } = Promise.withResolvers<Session>()
  const asked = request({
    host: '127.0.0.1',
    port: relay.port,
    path: '/v1/tunnels/any/connect',
    headers: { connection: 'upgrade', upgrade: 'instatunnel', [CONNECT_HEADER]: subdomain },
    agent: false,
  })
  asked.on('error', reject)
  asked.on('upgrade', (_, socket, early) => {
    const unheard = () => {}
    resolve(
      openSession({ socket, early, local, host: undefined, report: unheard, onLatency: unheard, onFault }),
    )
  })
  asked.end()
  return promise
}

/** Where another relay finds the agents of a subdomain at this one. */
export const routeTo = ({ peerAddress }: EndingRelay, subdomain: string): LiveRoute => ({
  ...admitted(subdomain),
  relayId: 'there',
  peerAddress,
})

let agents = 0
const admitted = (subdomain: string) => ({
  connectionId: newId('conn_', now()),
  tunnelId: `tun_${subdomain}`,
  userId: 'user_1',
  subdomain,
  tokenGeneration: 0,
  agent: `agent-${++agents}`,
  generation: 1,
  mode: '',
  credential: { type: 'api_key' as const, id: 'key_1' },
  issuedAt: 1,
})
