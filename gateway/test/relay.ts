import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TlsFiles } from '@instatunnel/kit/tls'

/** A real HTTP/1.1 server in a relay's place, which answers as it is told and keeps what it heard. */
export interface Relay {
  address: string
  /** The head of each request, health checks left out. */
  heard: HeardHead[]
  /** Answers so from now on; 200 and nothing else unless something is set. */
  answer: (request: IncomingMessage, response: ServerResponse) => void
  /** The next request, which waits for its answer. */
  arrival(): Promise<{ request: IncomingMessage; response: ServerResponse }>
  /** Answers requests that ask for an upgrade; 101 and every byte back unless something is set. */
  upgrade: (request: IncomingMessage, socket: Duplex) => void
  /** What health checks hear: 200, or 503 as of one that drains. */
  serving(yes: boolean): void
  stop(): Promise<void>
}

export interface HeardHead {
  method: string
  target: string
  /** Names and values in turns. */
  headers: string[]
}

/** Starts one on any free port, or on the port of one that was stopped; by mutual TLS where it has the files. */
export async function startRelay(port = 0, tls?: TlsFiles): Promise<Relay> {
  let isServing = true
  const relay: Relay = {
    address: '',
    heard: [],
    answer: (_, response) => response.end(),
    arrival: () =>
      new Promise((resolve) => {
        relay.answer = (request, response) => resolve({ request, response })
      }),
    upgrade: (request, socket) => {
      socket.write(switching(request.headers.upgrade))
      socket.pipe(socket)
    },
    serving: (yes) => {
      isServing = yes
    },
    stop: async () => {
      server.close()
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    },
  }
  const shape = { keepAliveTimeout: 0, maxHeaderSize: 65_536 }
  const server = tls
    ? createTlsServer({ ...shape, ...tls, requestCert: true, rejectUnauthorized: true })
    : createServer(shape)
  const upgraded = new Set<Duplex>()
  const hear = ({ method = '', url = '', rawHeaders }: IncomingMessage) =>
    relay.heard.push({ method, target: url, headers: rawHeaders })
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    response.sendDate = false
    if (request.headers['x-instatunnel-health']) {
      response.writeHead(isServing ? 200 : 503).end()
      return
    }
    hear(request)
    relay.answer(request, response)
  }
  server.on('request', answer)
  server.on('checkContinue', answer)
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    upgraded.add(socket)
    socket.on('error', () => {}) // the other side went away
    hear(request)
    relay.upgrade(request, socket)
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  relay.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return relay
}

/** The head of a 101. */
export const switching = (protocol = '', ...headers: string[]) =>
  `${['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${protocol}`, ...headers].join('\r\n')}\r\n\r\n`
