import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { ApiError, type ApiErrorAnswer, NotReachable } from './exit.ts'
import { version } from './version.ts'

/** How long one call may take, from asking for the connection to the answer's last byte. */
const callTimeoutMs = 30_000

/** What goes along with one call. */
export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | undefined>>
  /** Sent as JSON. */
  readonly body?: object
  readonly signal?: AbortSignal
}

/** The REST API, over one connection that is kept. */
export interface Api {
  /** Its base URL, without a slash at the end. */
  readonly url: string
  /** Calls a path ("/v1/tunnels") and returns the answer's JSON. Throws ApiError or NotReachable. */
  call<T>(method: string, path: string, options?: CallOptions): Promise<T>
  close(): void
}

/** The API at a base URL, called with a credential where one is given. */
export function createApi({ url, credential }: { url: string; credential?: string | undefined }): Api {
  let agent: Agent | undefined
  return {
    url,
    async call<T>(method: string, path: string, { query = {}, body, signal }: CallOptions = {}) {
      const target = targetOf(url, path, query)
      // Loaded late: what fails before it calls does not pay for it.
      const http = target.protocol === 'https:' ? await import('node:https') : await import('node:http')
      agent ??= new http.Agent({ keepAlive: true })
      const timeout = AbortSignal.timeout(callTimeoutMs)
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const options = {
        method,
        agent,
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        headers: headersOf(credential, payload),
      }
      try {
        const incoming = await answerTo(http.request(target, options), payload)
        return resultOf<T>(url, incoming.statusCode ?? 0, await textOf(incoming))
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

async function textOf(incoming: IncomingMessage): Promise<string> {
  incoming.setEncoding('utf8')
  let text = ''
  for await (const chunk of incoming) text += chunk
  return text
}

function resultOf<T>(url: string, status: number, text: string): T {
  const body = jsonOf(text)
  if (status === 200 && typeof body === 'object' && body !== null) return body as T
  throw refusalOf(url, status, body)
}

/** What an answer that is none of success says. */
export function refusalOf(url: string, status: number, body: unknown): ApiError | NotReachable {
  if (isErrorAnswer(body)) return new ApiError(status, body)
  return new NotReachable(`${url} answers with status ${status}, but not as InstaTunnel's API does`)
}

/** The JSON that a text is; undefined where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isErrorAnswer = (body: unknown): body is ApiErrorAnswer =>
  typeof body === 'object' &&
  body !== null &&
  'error' in body &&
  typeof body.error === 'string' &&
  'message' in body &&
  typeof body.message === 'string'

/** "ECONNREFUSED", or the message; where both address families were tried, that of the first. */
export function causeOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error
  if (!(first instanceof Error)) return String(first)
  return 'code' in first && typeof first.code === 'string' ? first.code : first.message
}
