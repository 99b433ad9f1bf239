import { once } from 'node:events'
import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { WebSocket } from 'ws'

/** What a visitor asks with. */
export interface AskOptions {
  method?: string
  headers?: Record<string, string | string[]> | readonly string[]
  /** A connection of its own unless said otherwise. */
  agent?: Agent
}

/** The whole of an answer. */
export interface Told {
  status: number
  reason: string
  /** Names and values in turns. */
  headers: string[]
  /** The value of a header, and undefined where it is not there exactly once. */
  header(name: string): string | undefined
  body: Buffer
  text: string
  trailers: string[]
  /** Answers of 1xx before it. */
  interim: { status: number; headers: string[] }[]
}

/** Somebody who visits a tunnel's site through the gateway. */
export interface Visitor {
  readonly host: string
  /** A request that is under way; its body is the caller's to write and to end. */
  ask(path: string, options?: AskOptions): ClientRequest
  /** Asks, with this body, and reads the answer whole. */
  get(path: string, options?: AskOptions & { body?: string | Buffer }): Promise<Told>
  /** Sends these bytes, and gives everything that comes back until the connection ends, as latin1. */
  raw(bytes: string): Promise<string>
  /** A connection over HTTP/2; its requests name `host` as authority. */
  http2(): ClientHttp2Session
  webSocket(path: string, protocols?: string[], headers?: Record<string, string>): WebSocket
}

type Visited = { readonly gateway: { readonly port: number } }

/** A visitor of the site of this name below localhost. */
export const visitorOf = (stack: Visited, subdomain: string): Visitor =>
  visitorAt(stack, `${subdomain}.localhost:${stack.gateway.port}`)

/** A visitor of whatever is at this host. */
export function visitorAt({ gateway }: Visited, host: string): Visitor {
  const { port } = gateway
  const ask: Visitor['ask'] = (path, { method = 'GET', headers = {}, agent } = {}) =>
    request({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: agent ?? false,
      // A list is sent as it is, Host included.
      headers: Array.isArray(headers) ? ['host', host, ...headers] : { host, ...headers },
    })
  return {
    host,
    ask,
    get(path, { body, ...options } = {}) {
      const asked = ask(path, options)
      const answer = told(asked)
      asked.end(body)
      return answer
    },
    async raw(bytes) {
      const socket = connect(port, '127.0.0.1')
      socket.write(bytes, 'latin1')
      return (await socket.setEncoding('latin1').toArray()).join('')
    },
    // By default Node gives requests up whose bodies wait, all together, in more than 10 MB.
    http2: () => connectHttp2(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 }),
    webSocket: (path, protocols = [], headers = {}) =>
      new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers: { host, ...headers } }),
  }
}

/** The head of the answer to a request, whose body is still to come. */
export async function answered(asked: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return answer
}

/** The answer to a request, once it has come whole. Rejects where it breaks off. */
export async function told(asked: ClientRequest): Promise<Told> {
  const interim: Told['interim'] = []
  asked.on('information', ({ statusCode, rawHeaders }) =>
    interim.push({ status: statusCode, headers: rawHeaders }),
  )
  const answer = await answered(asked)
  const { statusCode: status = 0, statusMessage: reason = '', rawHeaders: headers } = answer
  const body = Buffer.concat(await answer.toArray())
  return {
    status,
    reason,
    headers,
    header: (name) => {
      const values = valuesOf(headers, name)
      return values.length === 1 ? values[0] : undefined
    },
    body,
    text: body.toString(),
    trailers: answer.rawTrailers,
    interim,
  }
}

/** Every value of a header, in order. */
export const valuesOf = (headers: readonly string[], name: string): string[] =>
  headers.flatMap((value, at) => (at % 2 === 1 && headers[at - 1]?.toLowerCase() === name ? [value] : []))
