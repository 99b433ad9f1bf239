import { ClientRequest } from 'node:http'
import { FrameError, MAX_HEAD_BYTES, RESET } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import { Answering } from './answering.ts'
import { isStale } from './local-fault.ts'
import type { FreshOptions, LocalServer } from './local-server.ts'
import type { RequestHead } from './request-head.ts'
import { OpenVisit, type Visit } from './visit.ts'

/** What all exchanges share. */
export interface ExchangeDeps {
  readonly local: LocalServer
  readonly report: (visit: Visit) => void
}

// What may be asked twice (RFC 9110, section 9.2.2).
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
// A connection that was used within this is not being closed for idling.
const FRESH_MS = 1000

/** One request of a visitor, asked of the local server, and its answer. */
export class Exchange implements StreamSink {
  readonly #local: LocalServer
  readonly #stream: LinkStream
  readonly #head: RequestHead
  readonly #hasBody: boolean
  readonly #answering: Answering
  #bodyHasBegun = false
  #request: ClientRequest | undefined
  /** Bytes of the request's body that are still to come, where its length is announced. */
  #left: number | undefined
  /** Given to the local server's connection, which has not taken them yet. */
  #owed = 0
  #retried = false

  constructor({ local, report }: ExchangeDeps, stream: LinkStream, head: RequestHead, hasBody: boolean) {
    this.#local = local
    this.#stream = stream
    this.#head = head
    this.#hasBody = hasBody
    this.#left = head.contentLength
    this.#answering = new Answering(stream, new OpenVisit(head, report))
    this.#ask(this.#mayAskTwice ? {} : { maxIdleMs: FRESH_MS })
  }

  head(): void {
    throw new FrameError('a request has one head')
  }

  data(chunk: Buffer, end: boolean): void {
    const bytes = chunk.length
    const request = this.#request
    this.#bodyHasBegun = true
    if (!request || request.destroyed) {
      this.#stream.consumed(bytes) // the local server has answered, and takes no more of it
    } else if (!this.#fits(bytes, end)) {
      this.#fail(RESET.cancelled, 'the body is not as long as it was said to be')
    } else if (end) {
      request.end(chunk)
    } else if (request.write(chunk)) {
      this.#stream.consumed(bytes)
    } else {
      this.#owed += bytes
    }
  }

  trailers(text: string): void {
    const lines = text.split('\n')
    const pairs: [string, string][] = []
    for (let i = 0; i + 1 < lines.length; i += 2) pairs.push([lines[i] as string, lines[i + 1] as string])
    try {
      this.#request?.addTrailers(pairs)
    } catch {
      this.#fail(RESET.cancelled, 'the trailers are none')
      return
    }
    this.data(EMPTY, true)
  }

  /** The visitor has gone, or the tunnel has. */
  reset(): void {
    this.#answering.cancel()
    this.#request?.destroy()
  }

  writable(): void {
    this.#answering.resume()
  }

  get #mayAskTwice(): boolean {
    return !this.#hasBody && IDEMPOTENT.has(this.#head.method)
  }

  #ask(fresh: FreshOptions): void {
    const request = this.#makeRequest(fresh)
    if (!request) {
      this.#fail(RESET.local_broken, 'the request is no HTTP')
      return
    }
    this.#request = request
    request.maxHeadersCount = 0 // their bytes are bounded
    request.on('information', (information) => this.#answering.inform(information))
    request.on('response', (response) => this.#answering.begin(response))
    request.on('upgrade', () => this.#fail(RESET.local_broken, 'the local server switches protocols unasked'))
    request.on('error', (error) => this.#broken(error))
    if (!this.#hasBody) {
      request.end()
      return
    }
    request.on('drain', () => this.#drained())
    // A head that comes alone goes on alone; with the body's first piece it leaves in one write.
    process.nextTick(() => this.#bodyHasBegun || request.destroyed || request.flushHeaders())
  }

  #makeRequest(fresh: FreshOptions): ClientRequest | undefined {
    const { method, path, headers } = this.#head
    try {
      return new ClientRequest({
        agent: this.#local,
        method,
        path,
        headers,
        setDefaultHeaders: false, // only what the visitor sent
        maxHeaderSize: MAX_HEAD_BYTES,
        ...fresh,
      } as never)
    } catch {
      return undefined // node:http sends nothing that is no HTTP
    }
  }

  /** False for one byte more than was announced, which would begin another request, and for one less. */
  #fits(bytes: number, end: boolean): boolean {
    if (this.#left === undefined) return true
    this.#left -= bytes
    return end ? this.#left === 0 : this.#left >= 0
  }

  #drained(): void {
    const owed = this.#owed
    this.#owed = 0
    this.#stream.consumed(owed)
  }

  #broken(error: Error): void {
    const isUntouched = this.#mayAskTwice && !this.#retried && !this.#answering.hasBegun
    if (isUntouched && this.#request?.reusedSocket && isStale(error)) {
      this.#retried = true
      this.#ask({ maxIdleMs: 0 })
    } else this.#answering.broken(error)
  }

  #fail(code: number, message: string): void {
    this.#answering.fail(code, message)
    this.#request?.destroy()
  }
}

const EMPTY = Buffer.alloc(0)
