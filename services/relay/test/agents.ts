import { duplexPair } from 'node:stream'
import { Link } from '@instatunnel/kit/link'
import { createLog } from '@instatunnel/kit/log'
import type { Every } from '@instatunnel/kit/relay-routes'
import { onTestFinished } from 'vitest'
import { type Admitted, type Connection, createConnections } from '../src/connections.ts'
import type { Origin } from '../src/domain/origin.ts'
import { type PlayedEnd, playAgentOn } from './played-agent.ts'

/** An agent that is connected. */
export interface ConnectedAgent extends PlayedEnd {
  readonly connection: Connection
}

/** Connections that end with the test, and what was told of them. */
export function openConnections(
  options: { now?: () => Date; every?: Every; maxRequests?: number; maxWebSockets?: number } = {},
) {
  const { now = () => new Date(), maxRequests = 1000, maxWebSockets = 1000, every } = options
  const told: string[] = []
  const connections = createConnections({
    log: createLog('relay', 'silent'),
    now,
    maxRequests,
    maxWebSockets,
    onUp: ({ connectionId }) => told.push(`up ${connectionId}`),
    onDown: ({ connectionId }, reason) => told.push(`down ${connectionId} ${reason}`),
    ...(every ? { every } : {}),
  })
  let count = 0
  onTestFinished(() => {
    connections.cut(() => true, 'leaving')
    connections.close()
  })
  /** Connects an agent, on a connection in memory; one of its own for docs, with a key, unless said otherwise. */
  const connect = (of: Partial<Admitted> = {}): ConnectedAgent => {
    const [own, other] = duplexPair()
    const link = new Link(own, {
      onGoaway: () => connections.retire((each) => each === connection, 'leaving'),
      onEnd: (end) => connections.lost(connection, end),
    })
    const connection: Connection = connections.add({
      connectionId: `conn_${++count}`,
      tunnelId: 'tun_1',
      userId: 'user_1',
      subdomain: 'docs',
      tokenGeneration: 0,
      agent: `agent_${count}`,
      generation: 1,
      mode: '',
      credential: { type: 'api_key', id: 'key_1' },
      issuedAt: Math.floor(now().getTime() / 1000),
      ...of,
      since: now(),
      link,
    })
    return Object.assign(playAgentOn(other), { connection })
  }
  return { connections, connect, told }
}

const ignore = () => {}
/** A visitor's end of a stream, to which nothing matters. */
export const nobody = { head: ignore, data: ignore, trailers: ignore, reset: ignore, writable: ignore }

/** A request, or a handshake, of this client. */
export const from = (client: string, upgrades = false): Origin => ({ client, upgrades })
export const anybody = from('192.0.2.1')

/** Sends an agent a request that is not answered until the test does. */
export function occupy({ connection }: { connection: Connection }, origin: Origin = anybody) {
  const stream = connection.open('GET\n/', true, nobody, origin)
  if (typeof stream !== 'object') throw new Error(stream ?? 'the link is full')
  return stream
}
