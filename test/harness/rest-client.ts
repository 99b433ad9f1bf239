import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** How long one call may take before the test hears of it. */
const callTimeoutMs = 30_000

/** What goes along with one call. */
export interface CallOptions {
  /** Sent as `Authorization: Bearer …`. */
  token?: string
  /** An object is sent as JSON; a string or bytes as they are, with Content-Type application/json unless `headers` say otherwise. */
  body?: unknown
  headers?: Record<string, string | string[]>
  /** Sent as the Cookie header. */
  cookie?: string
}

/** One answer, read to its end. */
export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** The body as JSON, or undefined where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever was answered
  body: any
  text: string
}

/** Calls one path; the path goes out byte for byte. */
export type Call = (method: string, path: string, options?: CallOptions) => Promise<Answer>

/** A REST client that adds nothing of its own: a connection per call, no redirects, no retries. */
export function restClient({ port, host = 'localhost' }: { port: number; host?: string }): Call {
  return (method, path, options = {}) =>
    new Promise((resolve, reject) => {
      const payload = payloadOf(options.body)
      const headers: Record<string, string | string[]> = { host: `${host}:${port}`, connection: 'close' }
      if (payload) {
        headers['content-type'] = 'application/json'
        headers['content-length'] = String(payload.length)
      }
      if (options.token) headers.authorization = `Bearer ${options.token}`
      if (options.cookie) headers.cookie = options.cookie
      for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = value

      const outgoing = request(
        { host: '127.0.0.1', port, method, path, headers, agent: false, timeout: callTimeoutMs },
        (incoming) => {
          const chunks: Buffer[] = []
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
          incoming.on('error', reject)
          incoming.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: jsonOf(text), text })
          })
        },
      )
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer`)))
      outgoing.on('error', reject)
      outgoing.end(payload)
    })
}

/** How long a call is tried again that the platform has no room for. */
const patienceMs = 20_000

/**
 * The first answer to the call that is no 503 that names a time to try again in: as a client that keeps to Retry-After
 * hears it. For what a test needs, and is not about.
 */
export async function patiently(call: () => Promise<Answer>): Promise<Answer> {
  const until = performance.now() + patienceMs
  for (;;) {
    const answer = await call()
    const seconds = Number(answer.headers['retry-after'])
    if (answer.status !== 503 || !(seconds > 0) || performance.now() > until) return answer
    await delay(seconds * 1000)
  }
}

function payloadOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return Buffer.from(body)
  return Buffer.from(JSON.stringify(body))
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
