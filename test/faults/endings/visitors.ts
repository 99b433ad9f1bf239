import { connect, type Socket } from 'node:net'
import { ANSWERS, UPGRADES } from './local-server.ts'
import type { Random } from './random.ts'

const PIECE = Buffer.alloc(64 * 1024, 'y')
// A visitor that would wait for ever goes: one whose own body is not whole, or that reads nothing, sooner.
const PATIENCE_MS = 1000
const SHORT_MS = 100

type Leaving = 'stays' | 'at-once' | 'soon' | 'at-answer' | 'in-body' | 'ends-its-side'
const LEAVING: readonly Leaving[] = [
  'stays',
  'stays',
  'stays',
  'at-once',
  'soon',
  'at-answer',
  'in-body',
  'ends-its-side',
]

/** One visitor with a request, a handshake or a pipeline of requests of this name; resolves once it has gone, with what it did. */
export function visitAtRandom(port: number, subdomain: string, random: Random): Promise<string> {
  const isUpgrade = random.below(2) === 0
  const name = random.oneOf(Object.keys(isUpgrade ? UPGRADES : ANSWERS))
  const leaving = random.oneOf(LEAVING)
  const resets = random.below(3) === 0
  const socket = connect(port, '127.0.0.1')
  const isSlow = random.below(6) === 0
  const kind = isUpgrade
    ? upgrade(socket, random, { name, subdomain })
    : ask(socket, random, { name, subdomain })
  // Node's reset waits until all that was written has been taken, and fails in the midst of an end.
  const mayReset = () => resets && socket.writableLength === 0 && !socket.writableEnded && !socket.destroyed
  const go = () => (mayReset() ? socket.resetAndDestroy() : socket.destroy())
  socket.on('error', () => {})
  if (leaving === 'at-once') socket.once('connect', () => setImmediate(go))
  if (leaving === 'soon') setTimeout(go, random.below(30))
  if (leaving === 'ends-its-side') setTimeout(() => socket.end(), random.below(10))
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
    if (isUpgrade && bytes === chunk.length) setTimeout(go, random.below(30))
    if (leaving === 'at-answer' || (leaving === 'in-body' && bytes > 1000)) go()
  })
  if (isSlow) socket.pause()
  const patience = setTimeout(go, isSlow || kind.startsWith('unfinished') ? SHORT_MS : PATIENCE_MS)
  return new Promise((resolve) =>
    socket.on('close', () => {
      clearTimeout(patience)
      resolve(`${subdomain}/${name}: ${kind}, ${leaving}`)
    }),
  )
}

interface Target {
  readonly name: string
  readonly subdomain: string
}

const head = (method: string, { name, subdomain }: Target, ...headers: string[]) =>
  [`${method} /${name} HTTP/1.1`, `Host: ${subdomain}.example.com`, ...headers, '', ''].join('\r\n')

/** A request with one of all kinds of bodies, and mostly the last one of its connection. */
function ask(socket: Socket, random: Random, target: Target): string {
  const method = random.oneOf(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
  const close = ['Connection: close']
  const pieces = random.oneOf([0, 1, 1, 12])
  const body = random.oneOf(['none', 'length', 'chunks', 'expected', 'unfinished'])
  const write = (at: number) => {
    if (at >= pieces || socket.destroyed) {
      if (body === 'chunks') socket.write('0\r\nx-sum: 1\r\n\r\n')
      return
    }
    if (body === 'chunks') socket.write(`${PIECE.length.toString(16)}\r\n`)
    socket.write(PIECE)
    if (body === 'chunks') socket.write('\r\n')
    setImmediate(() => write(at + 1))
  }
  const length = PIECE.length * pieces
  switch (body) {
    case 'none':
      socket.write(head(method, target, ...close))
      break
    case 'chunks':
      socket.write(head(method, target, 'Transfer-Encoding: chunked', ...close))
      write(0)
      break
    case 'expected':
      socket.write(head(method, target, `Content-Length: ${length}`, 'Expect: 100-continue', ...close))
      socket.once('data', () => write(0))
      break
    case 'unfinished':
      socket.write(head(method, target, `Content-Length: ${length + 1}`, ...close))
      write(0)
      break
    default:
      socket.write(head(method, target, `Content-Length: ${length}`, ...close))
      write(0)
  }
  return `${body} ${method} ${pieces}`
}

/** A handshake, with bytes that come before its answer, and after it. */
function upgrade(socket: Socket, random: Random, target: Target): string {
  const early = random.oneOf([0, 0, 1, 3])
  const late = random.oneOf([0, 1, 1, 12])
  const ends = random.below(3) === 0
  socket.write(head('GET', target, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: k'))
  for (let sent = 0; sent < early; sent++) socket.write(PIECE)
  socket.once('data', () => {
    if (socket.destroyed) return
    for (let sent = 0; sent < late; sent++) socket.write(PIECE)
    if (ends) socket.end()
  })
  return `upgrade ${early} ${late}${ends ? ' ends' : ''}`
}
