import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { Link } from '@instatunnel/kit/link'
import { createLog } from '@instatunnel/kit/log'
import { type Connection, type Connections, createConnections } from '../src/connections.ts'
import type { Meter } from '../src/events/tunnel-usage.ts'
import { serveGateway } from '../src/http/gateway-server.ts'
import { type PlayedEnd, playAgentOn } from './played-agent.ts'

/** An agent's end that a test plays by hand. */
export interface PlayedAgent extends PlayedEnd {
  /** The relay's side of the connection. */
  readonly connection: Connection
}

/** What was metered. */
export interface Metered {
  requests: number[]
  bytesIn: number
  bytesOut: number
}

/** A relay's public side with agents connected to it; everything is carried, nothing decided. */
export interface Carrying {
  readonly port: number
  readonly connections: Connections
  readonly metered: Metered
  /** How many visitors have not been answered whole. */
  visitors(): number
  /** Connects an agent for docs.example.com. */
  agent(): Promise<PlayedAgent>
  /** A connection of a visitor, raw. */
  visitor(): Promise<Socket>
  close(): Promise<void>
}

/** Starts it. */
export async function startCarrying(
  options: {
    responseTimeoutMs?: number
    lingerMs?: number
    maxRequests?: number
    maxWebSockets?: number
  } = {},
): Promise<Carrying> {
  const log = createLog('relay', 'silent')
  const now = () => new Date()
  const metered: Metered = { requests: [], bytesIn: 0, bytesOut: 0 }
  const meter: Meter = {
    request: (statusClass) => metered.requests.push(statusClass),
    bytesIn: (bytes) => {
      metered.bytesIn += bytes
    },
    bytesOut: (bytes) => {
      metered.bytesOut += bytes
    },
  }
  const connections = createConnections({
    log,
    now,
    maxRequests: options.maxRequests ?? 1000,
    maxWebSockets: options.maxWebSockets ?? 1000,
    onUp: () => {},
    onDown: () => {},
  })
  let arrived: ((connection: Connection) => void) | undefined
  let count = 0
  const server = await serveGateway({
    listen: '127.0.0.1:0',
    tls: undefined,
    clock: { isReady: () => true, state: () => 'exact' },
    isDraining: () => false,
    log,
    visits: {
      domain: 'example.com',
      responseTimeoutMs: options.responseTimeoutMs ?? 10_000,
      lingerMs: options.lingerMs ?? 10_000,
      find(subdomain, origin) {
        const carrier = connections.leastBusy(connections.at(subdomain), origin) ?? 'offline'
        return typeof carrier === 'string' ? carrier : { carrier, meter }
      },
    },
    onAgent({ socket }) {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: instatunnel\r\n\r\n')
      const link = new Link(socket, {
        onGoaway: () => {},
        onEnd: (end) => connections.lost(connection, end),
      })
      const connection: Connection = connections.add({
        connectionId: `conn_${++count}`,
        tunnelId: 'tun_1',
        userId: 'user_1',
        subdomain: 'docs',
        tokenGeneration: 0,
        agent: `agent${count}`,
        generation: 1,
        mode: '',
        credential: { type: 'api_key', id: 'key_1' },
        issuedAt: 0,
        since: now(),
        link,
      })
      arrived?.(connection)
    },
  })
  const { port } = server
  return {
    port,
    connections,
    metered,
    visitors: () => server.visitors,
    async agent() {
      const here = new Promise<Connection>((resolve) => {
        arrived = resolve
      })
      return Object.assign(await playAgent(port), { connection: await here })
    },
    visitor: () =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket))
        socket.on('error', () => {}) // who is cut off learns of it so
      }),
    async close() {
      connections.cut(() => true, 'leaving')
      connections.close()
      await server.close()
    },
  }
}

function playAgent(port: number): Promise<PlayedEnd> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path: '/v1/tunnels/tun_1/connect',
      headers: { connection: 'upgrade', upgrade: 'instatunnel', [CONNECT_HEADER]: 'any' },
    })
    asked.on('error', reject)
    asked.on('upgrade', (_, socket, head) => resolve(playAgentOn(socket, head)))
    asked.end()
  })
}

/** Everything that a socket gives until it ends, as latin1. */
export function allOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => {})
  })
}

/** Resolves once a socket has given this, with all that it has given. */
export function until(socket: Socket, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!text.includes(wanted)) return
      socket.off('data', onData)
      resolve(text)
    }
    socket.on('data', onData)
    socket.on('close', () => reject(new Error(`it ended with ${JSON.stringify(text)}`)))
  })
}
