import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerOptions,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Logger } from '@instatunnel/kit/log'
import type { Serving } from '@instatunnel/kit/server'
import { serviceIn, type TlsFiles } from '@instatunnel/kit/tls'
import { createCallTaker, type FramedUnary } from './check-call.ts'

// Envoy has some connections a thread: beyond these, nobody is right.
const MAX_CONNECTIONS = 1024
// Envoy pings each connection every 5 s: one that is silent for so long is nobody's.
const IDLE_MS = 60_000
const HANDSHAKE_MS = 5000
const DRAIN_MS = 10_000

const options: ServerOptions = {
  settings: { enablePush: false, maxConcurrentStreams: 1000, maxHeaderListSize: 16 * 1024 },
  maxHeaderListPairs: 64,
  // Whenever a client leaves, Envoy takes its question back. Node would hold a thousand of them for an attack and end the
  // connection (CVE-2023-44487): any client could have the questions of all others fail.
  streamResetBurst: 1_000_000,
  streamResetRate: 1_000_000,
}

/**
 * Serves rpcs to the gateway alone, on node:http2's core API, which costs a third of what grpc-js does. With TLS only the
 * gateway's certificate is let in. What a peer does wrong ends its own connection at most.
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
  const server = tls ? createSecureServer({ ...options, ...mutual(tls) }) : createServer(options)
  const sessions = new Set<ServerHttp2Session>()
  server.maxConnections = MAX_CONNECTIONS
  server.setTimeout(idleMs, (session?: ServerHttp2Session) => session?.close())
  server.on('session', (session) => {
    if (tls && !isGateway(session)) {
      log.warn('the certificate of a caller is not the gateway’s')
      session.destroy()
      return
    }
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('ping', stay)
  })
  server.on('sessionError', (error) => log.debug({ err: error }, 'a connection to the gateway broke'))
  server.on('stream', createCallTaker({ rpcs, log }))
  const port = await listenOn(server, listen)
  return { port, close: () => drain(server, sessions, drainMs) }
}

const mutual = (files: TlsFiles) => ({
  ...files,
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.2' as const,
  handshakeTimeout: HANDSHAKE_MS,
})

const isGateway = ({ socket }: ServerHttp2Session) =>
  serviceIn((socket as TLSSocket).getPeerCertificate(), ['gateway']) === 'gateway'

/** A ping is a sign of life only where somebody hears it. */
function stay(): void {}

async function listenOn(server: Http2Server | Http2SecureServer, address: string): Promise<number> {
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
  server: Http2Server | Http2SecureServer,
  sessions: ReadonlySet<ServerHttp2Session>,
  atMostMs: number,
): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  const timer = setTimeout(() => {
    for (const session of sessions) session.destroy()
  }, atMostMs)
  for (const session of sessions) session.close()
  await closed
  clearTimeout(timer)
}
