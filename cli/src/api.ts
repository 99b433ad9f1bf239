import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { ApiError, type ApiErrorAnswer, NotReachable } from './exit.ts'
import { fields, number, optional, type Shape, text } from './shape.ts'
import { version } from './version.ts'

/** How long one call may take, from asking for the connection to the answer's last byte. */
const callTimeoutMs = 30_000
/** The API's own bound is half of this. */
const maxAnswerBytes = 16 * 1024 * 1024

/** What goes along with one call. */
export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | undefined>>
  /** Sent as JSON. */
  readonly body?: object
  /** What the command reads of the answer; left out, the answer is any object. */
  readonly shape?: Shape
  readonly signal?: AbortSignal
}

/** The REST API, over one connection that is kept. */
export interface Api {
  /** Its base URL, without a slash at the end. */
  readonly url: string
  /**
   * Calls a path ("/v1/tunnels") and returns the answer's JSON. Throws ApiError; NotReachable also where the answer has
   * another shape or more than 16 MiB.
   */
  call<T>(method: string, path: string, options?: CallOptions): Promise<T>
  close(): void
}

/** The API at a base URL, called with a credential where one is given. */
export function createApi({ url, credential }: { url: string; credential?: string | undefined }): Api {
  let agent: Agent | undefined
  return {
    url,
    async call<T>(method: string, path: string, { query = {}, body: sent, shape, signal }: CallOptions = {}) {
      const target = targetOf(url, path, query)
      // Loaded late: what fails before it calls does not pay for it.
      const http = target.protocol === 'https:' ? await import('node:https') : await import('node:http')
      agent ??= new http.Agent({ keepAlive: true })
      const timeout = AbortSignal.timeout(callTimeoutMs)
      const payload = sent === undefined ? undefined : JSON.stringify(sent)
      const options = {
        method,
        agent,
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        headers: headersOf(credential, payload),
      }
      try {
        const incoming = await answerTo(http.request(target, options), payload)
        const body = await textOf(incoming)
        if (body === undefined) throw new NotReachable(`${url} answers with more than 16 MiB`)
        const answer = resultOf(url, incoming.statusCode ?? 0, body)
        requireShape(url, answer, shape)
        return answer as T
      } catch (error) {
        if (error instanceof ApiError || error instanceof NotReachable || signal?.aborted) throw error
        throw new NotReachable(`${url} does not answer: ${timeout.aborted ? 'timeout' : causeOf(error)}`)
      }
    },
    close: () => agent?.destroy(),
  }
}

function targetOf(url: string, path: string, query: NonNullable<CallOptions['query']>): URL {
  const target = new URL(path, url)
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) target.searchParams.set(name, String(value))
  return target
}

function headersOf(credential: string | undefined, payload: string | undefined): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { accept: 'application/json', 'user-agent': `instatunnel/${version}` }
  if (credential !== undefined) headers.authorization = `Bearer ${credential}`
  if (payload !== undefined) {
    headers['content-type'] = 'application/json'
    headers['content-length'] = Buffer.byteLength(payload)
  }
  return headers
}

function answerTo(outgoing: ClientRequest, payload: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}

/** The body of an answer, or undefined where it is too large; what is left of it is not read. */
export async function textOf(
  incoming: IncomingMessage,
  maxBytes = maxAnswerBytes,
): Promise<string | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of incoming) {
    bytes += piece.length
    if (bytes > maxBytes) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function resultOf(url: string, status: number, json: string): object {
  const body = jsonOf(json)
  if (status === 200 && anyObject(body) === undefined) return body as object
  throw refusalOf(url, status, body)
}

const anyObject = fields({})

/** Throws NotReachable where an answer of this API has another shape, with the field at fault. */
export function requireShape(url: string, answer: object, shape: Shape = anyObject): void {
  const fault = shape(answer)
  if (fault === undefined) return
  const field = fault === '' ? '' : `: ${fault}`
  throw new NotReachable(`${url} does not answer as InstaTunnel's API does${field}`)
}

/** What an answer that is none of success says. */
export function refusalOf(url: string, status: number, body: unknown): ApiError | NotReachable {
  if (isErrorAnswer(body)) return new ApiError(status, body)
  return new NotReachable(`${url} answers with status ${status}, but not as InstaTunnel's API does`)
}

/** The JSON that a text is; undefined where it is none. */
export function jsonOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const errorAnswer = fields({
  error: text,
  message: text,
  required_scope: optional(text),
  retry_after: optional(number),
})

const isErrorAnswer = (body: unknown): body is ApiErrorAnswer => errorAnswer(body) === undefined

/** "ECONNREFUSED", or the message; where both address families were tried, that of the first. */
export function causeOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error
  if (!(first instanceof Error)) return String(first)
  return 'code' in first && typeof first.code === 'string' ? first.code : first.message
}
