import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Link, type LinkEnd, type LinkStream, type StreamSink } from '@instatunnel/kit/link'
import { onTestFinished } from 'vitest'

/** What an agent asked for. */
export interface Asked {
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** How a relay answers an agent that it does not take. */
export interface Refusal {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body: object | string
}

/** A relay's end of a connection with an agent. */
export interface AgentConnection {
  readonly link: Link
  readonly goaways: string[]
  readonly ended: Promise<LinkEnd>
}

/** What an agent talks to: the real frames on a real connection, and nothing of a relay's beside them. */
export interface RelayEnd {
  readonly url: string
  readonly asked: Asked[]
  /** What the next agents that ask are answered, one each; then all are taken. */
  readonly refusals: Refusal[]
  /** The next connection. */
  connection(): Promise<AgentConnection>
}

/** Starts one, for this test; `bytes` come together with the answer to an agent. */
export async function startRelayEnd({ bytes }: { bytes?: Buffer } = {}): Promise<RelayEnd> {
  const asked: Asked[] = []
  const refusals: Refusal[] = []
  const made: AgentConnection[] = []
  const waiting: ((connection: AgentConnection) => void)[] = []
  const server = createServer()
  server.on('upgrade', ({ url = '', headers }, socket) => {
    asked.push({ path: url, headers })
    socket.on('error', () => {})
    const refusal = refusals.shift()
    if (refusal) {
      const body = typeof refusal.body === 'string' ? refusal.body : JSON.stringify(refusal.body)
      const all = { 'content-length': Buffer.byteLength(body), connection: 'close', ...refusal.headers }
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.end(`HTTP/1.1 ${refusal.status} No\r\n${lines.join('')}\r\n${body}`)
      return
    }
    const head = [
      'HTTP/1.1 101 Switching Protocols',
      'connection: upgrade',
      'upgrade: instatunnel',
      `instatunnel-connection: conn_${asked.length}`,
      'instatunnel-url: http://docs-demo.localhost:8080',
    ]
    socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes ?? Buffer.alloc(0)]))
    const ended = Promise.withResolvers<LinkEnd>()
    const goaways: string[] = []
    const link = new Link(socket, { onGoaway: (reason) => goaways.push(reason), onEnd: ended.resolve })
    onTestFinished(() => link.destroy())
    const connection = { link, goaways, ended: ended.promise }
    const next = waiting.shift()
    if (next) next(connection)
    else made.push(connection)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    refusals,
    connection: async () => made.shift() ?? new Promise((resolve) => waiting.push(resolve)),
  }
}

/** A visitor's request. */
export interface Request {
  readonly method?: string
  readonly path?: string
  /** Names and values in turns. */
  readonly headers?: readonly string[]
  /** In place of all these: the head, as it stands in its frame. */
  readonly head?: string
  /** Pieces of a body, which then ends; `false` where it goes on. */
  readonly body?: readonly (string | Buffer)[] | false
  readonly trailers?: readonly string[]
  /** Takes nothing of the answer until it is told to. */
  readonly holds?: boolean
}

/** A visitor, and what it is answered. */
export class Visitor implements StreamSink {
  readonly stream: LinkStream
  /** Heads before the answer. */
  readonly informed: string[] = []
  /** The answer's head, as it stands in its frame. */
  answer: string | undefined
  readonly chunks: Buffer[] = []
  trailed: string | undefined
  given: { code: number; message: string } | undefined
  ended = false
  bytes = 0
  writables = 0
  holds: boolean
  readonly #over = Promise.withResolvers<void>()

  constructor(link: Link, { method = 'GET', path = '/', headers = [], ...request }: Request = {}) {
    const { head = [method, path, ...headers].join('\n'), body, trailers, holds = false } = request
    this.holds = holds
    const stream = link.open(head, body === undefined && trailers === undefined, this)
    if (!stream) throw new Error('the head is too long')
    this.stream = stream
    if (body === false) return
    for (const piece of body ?? []) stream.send(Buffer.from(piece))
    if (trailers) stream.trailers(trailers.join('\n'))
    else if (body) stream.end()
  }

  /** Resolves when the answer is over, whole or not. */
  get over(): Promise<void> {
    return this.#over.promise
  }

  get status(): string | undefined {
    return this.answer?.split('\n')[0]
  }

  /** Of the answer; names and values in turns. */
  get headers(): string[] {
    return this.answer?.split('\n').slice(2) ?? []
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  head(text: string, end: boolean): void {
    if (text.startsWith('1') && !text.startsWith('101')) this.informed.push(text)
    else this.answer = text
    if (end) this.#end()
  }

  data(chunk: Buffer, end: boolean): void {
    this.bytes += chunk.length
    this.chunks.push(Buffer.from(chunk))
    if (!this.holds) this.stream?.consumed(chunk.length)
    if (end) this.#end()
  }

  trailers(text: string): void {
    this.trailed = text
    this.#end()
  }

  reset(code: number, message: string): void {
    this.given = { code, message }
    this.#over.resolve()
  }

  writable(): void {
    this.writables++
  }

  #end(): void {
    this.ended = true
    this.#over.resolve()
  }
}

/** Asks, and waits for the whole answer. */
export async function ask({ link }: Pick<AgentConnection, 'link'>, request: Request = {}): Promise<Visitor> {
  const visitor = new Visitor(link, request)
  await visitor.over
  return visitor
}
