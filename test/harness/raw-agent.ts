import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { END, FRAME, FrameReader } from '@instatunnel/kit/frames'
import type { Answer } from './rest-client.ts'
import type { TestStack } from './stack.ts'

/** What an agent asks to be connected with; whatever is left out is as it should be. */
export interface AskToConnect {
  tunnelId: string
  credential?: string
  query?: string
  method?: string
  headers?: Record<string, string>
}

/** A connection of an agent that says what the test likes. */
export interface RawAgent {
  readonly socket: Socket
  /** The next stream that the relay opens: its number, and the lines of the request's head. */
  opened(): Promise<{ stream: number; head: string[] }>
  /** Resolves once the relay has closed it. */
  readonly closed: Promise<unknown>
}

const usual = {
  connection: 'Upgrade',
  upgrade: 'instatunnel',
  'instatunnel-agent': '0123456789abcdef',
  'instatunnel-generation': '1',
}

/** Asks the gateway for a connection: the answer, and the socket where it is 101. */
export async function askToConnect(
  { gateway }: TestStack,
  { tunnelId, credential, query = '', method = 'GET', headers = {} }: AskToConnect,
): Promise<{ answer: Answer; socket?: Socket; early?: Buffer }> {
  const asked = request({
    host: '127.0.0.1',
    port: gateway.port,
    method,
    path: `/v1/tunnels/${tunnelId}/connect${query}`,
    agent: false,
    headers: {
      host: `localhost:${gateway.port}`,
      ...usual,
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...headers,
    },
  })
  asked.end()
  const upgraded = once(asked, 'upgrade') as Promise<[IncomingMessage, Socket, Buffer]>
  const refused = once(asked, 'response') as Promise<[IncomingMessage]>
  upgraded.catch(() => {})
  refused.catch(() => {})
  const [incoming, socket, early] = await Promise.race([upgraded, refused])
  const text = socket ? '' : (await incoming.setEncoding('utf8').toArray()).join('')
  const body = text === '' ? undefined : JSON.parse(text)
  const answer = { status: incoming.statusCode ?? 0, headers: incoming.headers, body, text }
  return socket ? { answer, socket, early: early ?? Buffer.alloc(0) } : { answer }
}

/** Connects, as any agent may that is let in. */
export async function connectRaw(stack: TestStack, options: AskToConnect): Promise<RawAgent> {
  const { answer, socket, early } = await askToConnect(stack, options)
  if (!socket) throw new Error(`not connected: ${answer.status} ${answer.text}`)
  const waiting: ((opened: { stream: number; head: string[] }) => void)[] = []
  const arrived: { stream: number; head: string[] }[] = []
  const reader = new FrameReader({
    data() {},
    frame(type, stream, payload, end) {
      if (type === FRAME.ping && !end) socket.write(frame(FRAME.ping | END, 0, payload))
      if (type !== FRAME.open) return
      const opened = { stream, head: payload.toString('latin1').split('\n') }
      const next = waiting.shift()
      if (next) next(opened)
      else arrived.push(opened)
    },
  })
  const closed = once(
    socket.on('error', () => {}),
    'close',
  ).catch(() => {})
  socket.on('data', (chunk: Buffer) => reader.read(chunk))
  if (early && early.length > 0) reader.read(early)
  return {
    socket,
    closed,
    opened: () =>
      new Promise((resolve) => {
        const opened = arrived.shift()
        if (opened) resolve(opened)
        else waiting.push(resolve)
      }),
  }
}

/** A frame, whatever it says; the length may be another than the payload's. */
export function frame(
  type: number,
  stream: number,
  payload: string | Buffer = '',
  length = Buffer.byteLength(payload, 'latin1'),
): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(((type << 24) | length) >>> 0)
  head.writeUInt32BE(stream, 4)
  return Buffer.concat([head, typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload])
}
