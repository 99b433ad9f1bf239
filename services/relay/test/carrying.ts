import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import { Link, type LinkStream, type StreamSink } from '@instatunnel/kit/link'
import { createLog } from '@instatunnel/kit/log'
import { type Connection, type Connections, createConnections } from '../src/connections.ts'
import type { Meter } from '../src/events/tunnel-usage.ts'
import { serveGateway } from '../src/http/gateway-server.ts'

/** An agent's end that a test plays by hand. */
export interface PlayedAgent {
  /** The relay's side of the connection. */
  readonly connection: Connection
  readonly socket: Duplex
  readonly link: Link
  /** The next stream that the relay opens: its head's lines, and what comes on it. */
  next(): Promise<PlayedStream>
  /** Resolves with the reason of the relay's goaway. */
  readonly sentAway: Promise<string>
}

/** A stream as an agent has it, with all that came on it. */
export interface PlayedStream {
  readonly stream: LinkStream
  readonly lines: string[]
  readonly ended: boolean
  readonly chunks: Buffer[]
  /** Resolves at the end of what comes: trailers, where there are any. */
  readonly complete: Promise<string>
  readonly reset: Promise<number>
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
  /** Connects an agent for docs.example.com. */
  agent(): Promise<PlayedAgent>
  /** A connection of a visitor, raw. */
  visitor(): Promise<Socket>
  close(): Promise<void>
}

/** Starts it. */
export async function startCarrying(
  options: { responseTimeoutMs?: number; maxStreams?: number } = {},
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
    maxStreams: options.maxStreams ?? 1000,
    onUp: () => {},
    onDown: () => {},
  })
  let arrived: ((connection: Connection) => void) | undefined
  let count = 0
  const server = await serveGateway({
    listen: '127.0.0.1:0',
    tls: undefined,
    isDraining: () => false,
    log,
    visits: {
      domain: 'example.com',
      responseTimeoutMs: options.responseTimeoutMs ?? 10_000,
      find(subdomain) {
        const agents = connections.at(subdomain)
        const carrier = connections.leastBusy(agents)
        if (carrier) return { carrier, meter }
        return agents.length > 0 ? 'too_many' : 'offline'
      },
    },
    onAgent({ socket }) {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: instatunnel\r\n\r\n')
      const link = new Link(socket, {
        onGoaway: () => {},
        onEnd: (end) => connections.lost(connection, end),
      })
      const connection: Connection = {
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
        open: (head, end, sink) => link.open(head, end, sink),
      }
      connections.add(connection)
      arrived?.(connection)
    },
  })
  const { port } = server
  return {
    port,
    connections,
    metered,
    async agent() {
      const here = new Promise<Connection>((resolve) => {
        arrived = resolve
      })
      const { socket, link, ...played } = await playAgent(port)
      return { connection: await here, socket, link, ...played }
    },
    visitor: () =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket))
      }),
    async close() {
      connections.cut(() => true, 'leaving')
      connections.close()
      await server.close()
    },
  }
}

function playAgent(port: number): Promise<Omit<PlayedAgent, 'connection'>> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path: '/v1/tunnels/tun_1/connect',
      headers: { connection: 'upgrade', upgrade: 'instatunnel', [CONNECT_HEADER]: 'any' },
    })
    asked.on('error', reject)
    asked.on('upgrade', (_, socket, head) => {
      const opened: PlayedStream[] = []
      let wanted: ((stream: PlayedStream) => void) | undefined
      const away = Promise.withResolvers<string>()
      const link = new Link(socket, {
        onOpen(stream, text, ended) {
          const { sink, played } = playStream(stream, text, ended)
          if (wanted) wanted(played)
          else opened.push(played)
          wanted = undefined
          return sink
        },
        onGoaway: away.resolve,
        onEnd: () => {},
      })
      link.begin(head)
      const next = () =>
        new Promise<PlayedStream>((give) => {
          const stream = opened.shift()
          if (stream) give(stream)
          else wanted = give
        })
      resolve({ socket, link, next, sentAway: away.promise })
    })
    asked.end()
  })
}

function playStream(
  stream: LinkStream,
  text: string,
  ended: boolean,
): { sink: StreamSink; played: PlayedStream } {
  const chunks: Buffer[] = []
  const complete = Promise.withResolvers<string>()
  const reset = Promise.withResolvers<number>()
  if (ended) complete.resolve('')
  const sink: StreamSink = {
    head: () => {},
    data(chunk, end) {
      chunks.push(chunk)
      stream.consumed(chunk.length)
      if (end) complete.resolve('')
    },
    trailers: complete.resolve,
    reset: reset.resolve,
    writable: () => {},
  }
  return {
    sink,
    played: {
      stream,
      lines: text.split('\n'),
      ended,
      chunks,
      complete: complete.promise,
      reset: reset.promise,
    },
  }
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
