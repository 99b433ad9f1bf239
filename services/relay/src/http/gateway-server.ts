import { createServer, type IncomingMessage, type RequestListener, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Clock } from '@instatunnel/kit/clock'
import { CONNECT_HEADER } from '@instatunnel/kit/connect'
import type { Logger } from '@instatunnel/kit/log'
import type { TlsFiles } from '@instatunnel/kit/tls'
import { requestHead } from '../domain/head.ts'
import { clientOf } from '../domain/origin.ts'
import { subdomainOf } from '../domain/site.ts'
import { listenOn } from '../listen.ts'
import type { ArrivingAgent } from './agent.ts'
import { refusalText } from './refusal-text.ts'
import { UpgradeVisit } from './upgrade-visit.ts'
import { type Outgoing, Visit, type VisitDeps } from './visit.ts'

/** Set by the gateway's health check; what a client sends under this name does not arrive. */
const HEALTH_HEADER = 'x-instatunnel-health'
/** Says in the answer how this clock compares with the database's: exact, off past 5 s, or wrong past 30 s. */
const CLOCK_HEADER = 'x-instatunnel-clock'
// As much as a head may hold in a frame.
const MAX_HEADER_BYTES = 64 * 1024

/** What the gateway sends, and who takes it. */
export interface GatewayServerOptions {
  /** host:port */
  readonly listen: string
  readonly tls: TlsFiles | undefined
  readonly visits: VisitDeps
  readonly isDraining: () => boolean
  /** Past 30 s from the database's, the health check says so by 503. */
  readonly clock: Pick<Clock, 'isReady' | 'state'>
  readonly log: Logger
  /** Takes an agent that the gateway lets through; `respond` answers it where it is not admitted. */
  onAgent(agent: ArrivingAgent): Promise<void> | void
}

/** The port as it is served. */
export interface GatewayServer {
  readonly port: number
  /** How many visitors have not been answered whole. */
  readonly visitors: number
  /** How many connections there are, agents' included. */
  readonly connections: number
  close(): Promise<void>
}

/** Serves agents and visitors as the gateway sends them, on one port that only the gateway reaches. */
export async function serveGateway(options: GatewayServerOptions): Promise<GatewayServer> {
  const { visits, isDraining, clock, tls, listen, log } = options
  let visitors = 0
  const shape = {
    maxHeaderSize: MAX_HEADER_BYTES,
    // The gateway keeps its connections, and ends them; requests take as long as they do.
    keepAliveTimeout: 0,
    requestTimeout: 0,
    headersTimeout: 30_000,
    highWaterMark: 64 * 1024,
  }
  /** Whatever is wrong with us, for one visitor, ends that one alone. */
  const fault = (socket: Duplex, error: unknown) => {
    log.error({ err: error }, 'a visitor could not be served')
    socket.destroy()
  }
  const takeAgent = async (agent: ArrivingAgent) => {
    try {
      await options.onAgent(agent)
    } catch (error) {
      fault(agent.socket, error)
    }
  }
  const onRequest: RequestListener = (request, response) => {
    response.sendDate = false
    if (isDraining()) response.shouldKeepAlive = false
    if (request.headers[HEALTH_HEADER] !== undefined) {
      response
        .writeHead(isDraining() || !clock.isReady() ? 503 : 200, { [CLOCK_HEADER]: clock.state() })
        .end()
      return
    }
    if (request.headers[CONNECT_HEADER] !== undefined) {
      takeAgent({ request, socket: request.socket, early: Buffer.alloc(0), respond: () => response })
      return
    }
    visitors++
    response.once('close', () => visitors--)
    try {
      new Visit(visits, request, response, outgoing(request, visits.domain)).start()
    } catch (error) {
      fault(request.socket, error)
    }
  }
  const server = tls
    ? createTlsServer({ ...shape, ...tls, requestCert: true, rejectUnauthorized: true }, onRequest)
    : createServer(shape, onRequest)
  // Whether a body is wanted, and what else is expected, is the local server's to say.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('clientError', refuseUnreadable)
  server.on('upgrade', async (request: IncomingMessage, socket: Duplex, early: Buffer) => {
    socket.on('error', () => socket.destroy())
    if (request.headers[CONNECT_HEADER] !== undefined) {
      takeAgent({ request, socket, early, respond: () => responseOn(request, socket) })
      return
    }
    try {
      await new UpgradeVisit(visits, { request, socket, early }, outgoing(request, visits.domain)).start()
    } catch (error) {
      fault(socket, error)
    }
  })
  const listening = await listenOn(server, listen)
  return {
    port: Number(listening.address.slice(listening.address.lastIndexOf(':') + 1)),
    get visitors() {
      return visitors
    },
    get connections() {
      return listening.connections
    },
    close: listening.close,
  }
}

/** Answers what Node's parser does not take, in the one error shape; where an answer has begun, it is cut off. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  const begun = (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent
  if (begun || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  socket.end(refusalText(error.code === 'HPE_HEADER_OVERFLOW' ? 'too_large' : 'unreadable'))
}

/** An answer to a request whose connection Node has handed over. */
function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.sendDate = false
  response.assignSocket(socket as never)
  response.on('finish', () => socket.end())
  return response
}

function outgoing(request: IncomingMessage, domain: string): Outgoing {
  const { headers } = request
  const host = headers.host ?? ''
  const length = headers['content-length']
  const isChunked = headers['transfer-encoding'] !== undefined
  const told = headers['x-envoy-external-address']
  const address = typeof told === 'string' ? told : (request.socket.remoteAddress ?? '')
  const upgrade = headers.connection?.toLowerCase().includes('upgrade') ? headers.upgrade : undefined
  const head = requestHead({
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    rawHeaders: request.rawHeaders,
    visitor: {
      address,
      proto: headers['x-forwarded-proto'] === 'https' ? 'https' : 'http',
      host,
    },
    upgrade,
    chunked: isChunked,
  })
  return {
    subdomain: subdomainOf(host, domain),
    head,
    client: clientOf(address),
    upgrades: upgrade !== undefined,
    hasBody: isChunked || (length !== undefined && length !== '0'),
  }
}
