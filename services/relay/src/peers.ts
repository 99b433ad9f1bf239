import { createServer, type IncomingMessage, request } from 'node:http'
import { createServer as createTlsServer, request as tlsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { RESET } from '@instatunnel/kit/frames'
import { SERVICE_METADATA } from '@instatunnel/kit/guard'
import { Link, type LinkStream, type StreamSink } from '@instatunnel/kit/link'
import type { Logger } from '@instatunnel/kit/log'
import type { LiveRoute } from '@instatunnel/kit/relay-routes'
import {
  identifyService,
  type SignServiceToken,
  type VerifyServiceToken,
} from '@instatunnel/kit/service-identity'
import { servicesIn, type TlsFiles } from '@instatunnel/kit/tls'
import type { Carrier, Connections } from './connections.ts'
import { originOf } from './domain/origin.ts'
import { listenOn } from './listen.ts'

const UPGRADE = 'instatunnel-peer'
const CONNECT_MS = 2000
// A peer that could not be reached is not asked again by every visitor.
const AGAIN_MS = 250

/** What relays speak to one another with. */
export interface PeerOptions {
  readonly agents: () => Connections
  readonly log: Logger
  readonly sign: SignServiceToken
  readonly verifyService: VerifyServiceToken
  readonly tls: TlsFiles | undefined
}

/** The ways to the other relays: one link to each, made when it is first needed. */
export interface Peers {
  /** Where a route's requests are sent; undefined where its relay cannot be reached. */
  carrier(route: LiveRoute): Carrier | Promise<Carrier | undefined>
  /** Streams that are open to peers. */
  readonly streams: number
  close(): void
}

/** Asks a relay's peer port for a link. */
function upgrade(
  address: string,
  token: string,
  tls: TlsFiles | undefined,
): Promise<{ socket: Duplex; head: Buffer }> {
  const { hostname, port } = new URL(`http://${address}`)
  const options = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    timeout: CONNECT_MS,
    headers: { connection: 'upgrade', upgrade: UPGRADE, [SERVICE_METADATA]: token },
  }
  return new Promise((resolve, reject) => {
    const asked = tls
      ? tlsRequest({ ...options, ...tls, servername: 'relay', checkServerIdentity: notARelay })
      : request(options)
    asked.on('upgrade', (_, socket, head) => {
      socket.setTimeout(0)
      resolve({ socket, head })
    })
    asked.on('response', (answer) => {
      answer.destroy()
      reject(new Error(`it answered ${answer.statusCode}`))
    })
    asked.on('timeout', () => asked.destroy(new Error('it did not answer in time')))
    asked.on('error', reject)
    asked.end()
  })
}

const notARelay = (_: string, certificate: PeerCertificate) =>
  servicesIn(certificate, ['relay']).length > 0 ? undefined : new Error('its certificate names no relay')

/** Connects to other relays, and keeps the links. */
export function createPeers({ sign, tls, log }: Pick<PeerOptions, 'sign' | 'tls' | 'log'>): Peers {
  const links = new Map<string, Link>()
  const connecting = new Map<string, Promise<Link | undefined>>()
  let closed = false

  const connect = async (address: string): Promise<Link | undefined> => {
    try {
      const { socket, head } = await upgrade(address, await sign('relay'), tls)
      if (closed) {
        socket.destroy()
        return undefined
      }
      const drop = (why: string) => {
        if (links.get(address) === link) links.delete(address)
        if (why === 'protocol_error') log.warn({ address }, 'a peer broke the protocol')
      }
      const link = new Link(socket, {
        onGoaway: drop,
        onEnd: drop,
        onFault: (error) => log.error({ err: error, address }, 'a fault on the link to a peer'),
      })
      links.set(address, link)
      link.begin(head)
      connecting.delete(address)
      return link
    } catch (error) {
      log.warn({ address, cause: String(error) }, 'a peer cannot be reached')
      setTimeout(() => connecting.delete(address), AGAIN_MS).unref()
      return undefined
    }
  }
  const over = (link: Link, { tunnelId }: LiveRoute): Carrier => ({
    open: (head, end, sink) => link.open(`${tunnelId}\n${head}`, end, sink),
  })
  return {
    carrier(route) {
      const link = links.get(route.peerAddress)
      if (link) return over(link, route)
      const made = connecting.get(route.peerAddress) ?? connect(route.peerAddress)
      connecting.set(route.peerAddress, made)
      return made.then((late) => late && over(late, route))
    },
    get streams() {
      let streams = 0
      for (const link of links.values()) streams += link.size
      return streams
    },
    close() {
      closed = true
      for (const link of links.values()) link.close('draining')
    },
  }
}

/** Listens for other relays, whose streams go to this relay's own agents and never to a further relay. */
export async function servePeers(
  listen: string,
  { agents, verifyService, tls, log }: Omit<PeerOptions, 'sign'>,
): Promise<{ address: string; close(): Promise<void> }> {
  const links = new Set<Link>()
  const server = tls
    ? createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true })
    : createServer()
  server.on('request', (_, response) => response.writeHead(404).end())
  server.on('upgrade', async (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    if (incoming.headers.upgrade !== UPGRADE || !(await isRelay(incoming, verifyService, tls))) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      return
    }
    if (socket.destroyed) return
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${UPGRADE}\r\n\r\n`)
    const link: Link = new Link(socket, {
      onOpen: (stream, text, end) => passOn(agents(), stream, text, end),
      onGoaway: () => {},
      onEnd: (end) => {
        links.delete(link)
        if (end === 'protocol_error') log.warn('a peer broke the protocol')
      },
      onFault: (error) => log.error({ err: error }, 'a fault on the link of a peer'),
    })
    links.add(link)
    link.begin(head)
  })
  const listening = await listenOn(server, listen)
  return {
    address: listening.address,
    async close() {
      for (const link of links) link.close('draining')
      await listening.close()
    },
  }
}

async function isRelay(
  incoming: IncomingMessage,
  verifyService: VerifyServiceToken,
  tls: TlsFiles | undefined,
): Promise<boolean> {
  const token = incoming.headers[SERVICE_METADATA]
  const service = await identifyService({
    verifyService,
    token: typeof token === 'string' ? token : undefined,
    certified: tls && servicesIn((incoming.socket as TLSSocket).getPeerCertificate(), ['relay']),
  }).catch(() => undefined)
  return service === 'relay'
}

/** Joins a peer's stream with one of this relay's agents: what comes on the one goes on the other, credit too. */
function passOn(connections: Connections, from: LinkStream, text: string, end: boolean): StreamSink {
  const cut = text.indexOf('\n')
  const head = text.slice(cut + 1)
  const origin = originOf(head)
  const agent = connections.leastBusy(connections.ofTunnel(text.slice(0, cut)), origin)
  const to = typeof agent === 'object' ? agent.open(head, end, new Passage(from), origin) : agent
  if (typeof to === 'object') return new Passage(to)
  from.reset(agent === undefined ? RESET.refused : RESET[to ?? 'too_many'])
  return new Passage(from)
}

/**
 * Says on a stream what comes of another. Nothing is held in between: who sends is given credit when who receives gives
 * it, so that what comes may always go on.
 */
class Passage implements StreamSink {
  readonly #to: LinkStream

  constructor(to: LinkStream) {
    this.#to = to
  }

  head(text: string, end: boolean): void {
    this.#to.head(text, end)
  }

  data(chunk: Buffer, end: boolean): void {
    // Empty pieces are bounded on each link: an agent's would use up what this link may have for all.
    if (chunk.length > 0 || end) this.#to.send(chunk, end)
  }

  trailers(text: string): void {
    this.#to.trailers(text)
  }

  reset(code: number, message: string): void {
    this.#to.reset(code, message)
  }

  writable(): void {}

  credited(bytes: number): void {
    this.#to.consumed(bytes)
  }
}
