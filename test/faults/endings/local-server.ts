import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Writable } from 'node:stream'

/** A local server that ends requests in every way there is: the path's first segment names the way. */
export interface EndingServer {
  readonly port: number
  close(): void
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void
type Upgrade = (socket: Socket, again: () => void) => void

const LARGE = Buffer.alloc(700 * 1024, 'x')
const whole = (request: IncomingMessage, then: () => void) => request.on('end', then).resume()

/** Gives more than is on its way between anywhere, and no end. */
const pour = (to: Writable) => {
  for (let given = 0; given < 4; given++) to.write(LARGE)
}

/** How a request may be answered, or not. */
export const ANSWERS: Readonly<Record<string, Answer>> = {
  sized: (request, response) =>
    whole(request, () => response.writeHead(200, { 'content-length': 5 }).end('sized')),
  chunked: (request, response) =>
    whole(request, () => {
      response.write('one')
      setImmediate(() => response.end('two'))
    }),
  trailers: (request, response) =>
    whole(request, () => {
      response.write('body')
      response.addTrailers({ 'x-end': '1' })
      response.end()
    }),
  large: (request, response) => whole(request, () => response.end(LARGE)),
  empty: (request, response) => whole(request, () => response.writeHead(204).end()),
  'not-modified': (request, response) => whole(request, () => response.writeHead(304, { etag: '"a"' }).end()),
  hints: (request, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    whole(request, () => response.end('hinted'))
  },
  early: (_, response) => response.writeHead(413, { 'content-length': 3 }).end('too'),
  'early-close': (_, response) => response.writeHead(413, { connection: 'close' }).end('much'),
  'early-large': (_, response) => response.end(LARGE),
  'slow-reader': (request, response) => {
    setTimeout(() => whole(request, () => response.end('read')), 20)
  },
  endless: (_, response) => {
    pour(response)
  },
  never: () => {},
  resets: ({ socket }) => socket.resetAndDestroy(),
  dies: ({ socket }) => socket.destroy(),
  'half-closes': ({ socket }) => socket.end(),
  'no-http': ({ socket }) => socket.end('what?\r\n\r\n'),
  'long-head': (_, response) => response.writeHead(200, { 'x-long': 'a'.repeat(66_000) }).end(),
  'cut-off': ({ socket }, response) => {
    response.writeHead(200, { 'content-length': 10_000 }).write('part')
    setImmediate(() => socket.destroy())
  },
  'too-much': ({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n'),
  'ends-with-connection': ({ socket }) => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'),
  'switches-unasked': ({ socket }) =>
    socket.write('HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
}

const SWITCHED = 'HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
const refused = (line: string, ...headers: string[]) => [`HTTP/1.1 ${line}`, ...headers, '', ''].join('\r\n')

/** How a handshake may be answered, or not; `again` has the connection read as HTTP's once more. */
export const UPGRADES: Readonly<Record<string, Upgrade>> = {
  echo: (socket) => {
    socket.write(SWITCHED)
    socket.pipe(socket)
  },
  'greets-and-ends': (socket) => socket.resume().end(`${SWITCHED}hello`),
  'early-hints': (socket) => {
    socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${SWITCHED}`)
    socket.pipe(socket)
  },
  'ignores-end': (socket) => {
    socket.write(SWITCHED)
    socket.resume()
  },
  'takes-nothing': (socket) => socket.pause().write(SWITCHED),
  'switches-and-resets': (socket) => socket.write(SWITCHED, () => socket.resetAndDestroy()),
  'switches-and-dies': (socket) => socket.write(SWITCHED, () => socket.destroy()),
  pours: (socket) => {
    socket.write(SWITCHED)
    pour(socket.resume())
  },
  'refuses-403': (socket, again) => {
    socket.write(`${refused('403 Forbidden', 'content-length: 2')}no`)
    again()
  },
  'refuses-without-body': (socket, again) => {
    socket.write(refused('401 Unauthorized', 'content-length: 0'))
    again()
  },
  'refuses-in-chunks': (socket) =>
    socket
      .resume()
      .end(`${refused('400 Bad Request', 'transfer-encoding: chunked')}2\r\nno\r\n0\r\nx-a: 1\r\n\r\n`),
  'refuses-at-length': (socket) => {
    socket.write(refused('500 Internal Server Error', `content-length: ${LARGE.length}`))
    socket.resume().end(LARGE)
  },
  'refuses-by-half': (socket) => {
    socket.write(`${refused('500 Internal Server Error', 'content-length: 100')}half`, () => socket.destroy())
  },
  redirects: (socket, again) => {
    socket.write(refused('302 Found', 'location: /login', 'content-length: 0'))
    again()
  },
  'answers-200': (socket, again) => {
    socket.write(`${refused('200 OK', 'content-length: 2')}ok`)
    again()
  },
  'answers-204': (socket, again) => {
    socket.write(refused('204 No Content'))
    again()
  },
  'answers-until-the-end': (socket) => socket.resume().end(`${refused('200 OK')}all of it`),
  never: (socket) => socket.resume(),
  resets: (socket) => socket.resetAndDestroy(),
  dies: (socket) => socket.destroy(),
  'half-closes': (socket) => socket.resume().end(),
  'no-http': (socket) => socket.resume().end('what?\r\n\r\n'),
}

/** Starts it on a free port. */
export async function startEndingServer(): Promise<EndingServer> {
  const upgraded = new Set<Socket>()
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    request.on('error', () => {})
    response.on('error', () => {})
    ANSWERS[nameOf(request)]?.(request, response)
  })
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue()
    server.emit('request', request, response)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    upgraded.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => upgraded.delete(socket))
    UPGRADES[nameOf(request)]?.(socket, () => server.emit('connection', socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    },
  }
}

const nameOf = ({ url = '' }: IncomingMessage) => url.split('/')[1] ?? ''
