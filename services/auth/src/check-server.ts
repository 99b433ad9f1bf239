import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer, type TLSSocket } from 'node:tls'
import type { Logger } from '@instatunnel/kit/log'
import type { Serving } from '@instatunnel/kit/server'
import { servicesIn, type TlsFiles } from '@instatunnel/kit/tls'
import { createCallTaker, type FramedUnary } from './check-call.ts'
import { type Http2Connection, takeConnection } from './http2/connection.ts'

// Envoy has some connections a thread: beyond these, nobody is right.
const MAX_CONNECTIONS = 1024
// Envoy pings each connection every 5 s: one that is silent for so long is nobody's.
const IDLE_MS = 60_000
const HANDSHAKE_MS = 5000
const DRAIN_MS = 10_000

/**
 * Serves rpcs to the gateway alone, on an HTTP/2 of its own (http2/), which costs an eighth of what grpc-js does. With TLS only
 * the gateway's certificate is let in. What a peer does wrong ends its own connection at most.
 */
export async function serveGateway({
  listen,
  tls,
  rpcs,
  log,
  idleMs = IDLE_MS,
  drainMs = DRAIN_MS,
}: {
  /** host:port; port 0 is any free one. */
  listen: string
  /** In clear where undefined. */
  tls: TlsFiles | undefined
  /** By their paths. */
  rpcs: ReadonlyMap<string, FramedUnary>
  log: Logger
  /** After how long without any sign of life a connection is closed. */
  idleMs?: number
  /** How long calls in flight may take once it closes. */
  drainMs?: number
}): Promise<Serving> {
  const taker = createCallTaker({ rpcs, log })
  const sockets = new Set<Socket>()
  const connections = new Set<Http2Connection>()
  let isClosing = false
  // What has a code is the peer's doing, or the network's.
  const broke = (error: Error) =>
    log['code' in error ? 'debug' : 'error']({ err: error }, 'a connection to the gateway broke')
  const take = (socket: Socket) => {
    // Its handshake took until now, and nothing was asked on it yet.
    if (isClosing) {
      socket.destroy()
      return
    }
    const connection = takeConnection(socket, taker, {
      onError: broke,
      onClose: () => connections.delete(connection),
    })
    connections.add(connection)
  }
  const takeSecure = (socket: TLSSocket) => {
    if (isGateway(socket)) take(socket)
    else {
      log.warn('the certificate of a caller is not the gateway’s')
      socket.destroy()
    }
  }
  const server = tls ? createSecureServer(mutual(tls), takeSecure) : createServer(take)
  server.maxConnections = MAX_CONNECTIONS
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true)
    socket.setTimeout(idleMs, () => socket.destroy())
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', broke)
  const port = await listenOn(server, listen)
  return {
    port,
    close() {
      isClosing = true
      return drain(server, { sockets, connections }, drainMs)
    },
  }
}

const mutual = (files: TlsFiles) => ({
  ...files,
  ALPNProtocols: ['h2'],
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.2' as const,
  handshakeTimeout: HANDSHAKE_MS,
})

const isGateway = (socket: TLSSocket) => servicesIn(socket.getPeerCertificate(), ['gateway']).length > 0

async function listenOn(server: Server, address: string): Promise<number> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  await new Promise<void>((resolve, reject) => {
    // Later on, a connection that cannot be taken is no reason to end.
    server.on('error', reject)
    server.listen(Number(address.slice(colon + 1)), host, resolve)
  })
  return (server.address() as AddressInfo).port
}

/** Takes nothing new and says so; lets calls in flight finish, for so long at most. */
async function drain(
  server: Server,
  open: { sockets: ReadonlySet<Socket>; connections: ReadonlySet<Http2Connection> },
  atMostMs: number,
): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  const timer = setTimeout(() => {
    for (const connection of open.connections) connection.destroy()
    for (const socket of open.sockets) socket.destroy()
  }, atMostMs)
  for (const connection of open.connections) connection.close()
  await closed
  clearTimeout(timer)
}
