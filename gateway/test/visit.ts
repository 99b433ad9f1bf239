import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'

/** Whom the test's visitors ask, unless it is said otherwise. */
export const site = 'docs.tunnels.test'

/** The whole of an answer. */
export interface Told {
  status: number
  /** Names and values in turns. */
  headers: string[]
  body: string
  trailers: string[]
  /** Answers of 1xx before this one. */
  interim: { status: number; headers: string[] }[]
}

/** A request that is under way; its body is the caller's to write. */
export function visit(
  port: number,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): ClientRequest {
  return request({ host: '127.0.0.1', port, method, path, headers: { host: site, ...headers }, agent: false })
}

/** What a request is told, once that has come whole. */
export async function told(asked: ClientRequest): Promise<Told> {
  const interim: Told['interim'] = []
  asked.on('information', ({ statusCode, rawHeaders }) =>
    interim.push({ status: statusCode, headers: rawHeaders }),
  )
  const answer = await answered(asked)
  const body = Buffer.concat(await answer.toArray()).toString()
  const { statusCode: status = 0, rawHeaders: headers, rawTrailers: trailers } = answer
  return { status, headers, body, trailers, interim }
}

/** The head of an answer, whose body is still to come. */
export async function answered(asked: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return answer
}

/** A request over HTTP/2, on a connection of its own that ends with it. */
export function visitHttp2(
  port: number,
  headers: Record<string, string>,
  options: { endStream?: boolean; waitForTrailers?: boolean } = {},
): ClientHttp2Stream {
  const session = connect(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':authority': site, ':path': '/', ...headers }, options)
  stream.on('close', () => session.close())
  return stream
}

/** The headers that an event of a stream comes with: 'headers' of a 1xx, 'response' or 'trailers'. */
export async function toldHttp2(
  stream: ClientHttp2Stream,
  event: 'headers' | 'response' | 'trailers',
): Promise<IncomingHttpHeaders> {
  const [headers] = await once(stream, event)
  return Object.fromEntries(Object.entries(headers))
}

/** The next bytes of a stream, as text. */
export async function next(stream: NodeJS.ReadableStream): Promise<string> {
  const [chunk] = await once(stream, 'data')
  return chunk.toString('latin1')
}
