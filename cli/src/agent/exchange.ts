import { FrameError, RESET } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import type { Answer } from './answer-parser.ts'
import { Answering } from './answering.ts'
import type { Asked, Asker } from './asker.ts'
import type { LocalConnection } from './local-connection.ts'
import { isStale } from './local-fault.ts'
import type { LocalServer } from './local-server.ts'
import { readTrailers } from './read-trailers.ts'
import type { RequestHead } from './request-head.ts'
import { Upload } from './upload.ts'
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
export class Exchange implements StreamSink, Asker {
  readonly #local: LocalServer
  readonly #stream: LinkStream
  readonly #asked: Asked
  readonly #answering: Answering
  #connection: LocalConnection
  #upload: Upload
  /** Bytes of the request's body that are still to come, where its length is announced. */
  #left: number | undefined
  #mayAskTwice: boolean

  constructor({ local, report }: ExchangeDeps, stream: LinkStream, head: RequestHead, ends: boolean) {
    const { method, text, chunked, contentLength } = head
    this.#local = local
    this.#stream = stream
    this.#left = contentLength
    this.#asked = { method, head: text, chunked, ends, upgrades: false }
    this.#answering = new Answering(stream, new OpenVisit(head, report))
    this.#mayAskTwice = ends && IDEMPOTENT.has(method)
    this.#connection = local.ask(this.#asked, this, this.#mayAskTwice ? undefined : FRESH_MS)
    this.#upload = new Upload(stream, this.#connection)
  }

  head(): void {
    throw new FrameError('a request has one head')
  }

  data(chunk: Buffer, end: boolean): void {
    const bytes = chunk.length
    if (this.#connection.isGone) {
      this.#stream.consumed(bytes) // the local server has answered, and takes no more of it
      return
    }
    if (!this.#fits(bytes, end)) {
      this.#fail(RESET.cancelled, 'the body is not as long as it was said to be')
      return
    }
    if (bytes > 0) this.#upload.write(chunk)
    if (end) this.#upload.end()
  }

  trailers(frame: string): void {
    const lines = readTrailers(frame)
    if (lines === undefined || !this.#fits(0, true)) this.#fail(RESET.cancelled, 'the trailers are none')
    else if (!this.#connection.isGone) this.#upload.end(lines)
  }

  /** The visitor has gone, or the tunnel has. */
  reset(): void {
    this.#answering.cancel()
    this.#connection.leave(this)
  }

  writable(): void {
    this.#connection.resume()
  }

  informed(answer: Answer): void {
    this.#mayAskTwice = false
    this.#answering.inform(answer)
  }

  answered(answer: Answer): void {
    this.#mayAskTwice = false
    if (!this.#answering.begin(answer)) this.#connection.leave(this)
  }

  received(chunk: Buffer): void {
    if (!this.#answering.pass(chunk)) this.#connection.pause()
  }

  completed(trailers: readonly string[]): void {
    this.#answering.complete(trailers)
  }

  drained(): void {
    this.#upload.drained()
  }

  broken(error: Error): void {
    if (this.#mayAskTwice && this.#connection.isUsed && isStale(error)) {
      this.#mayAskTwice = false
      this.#connection = this.#local.ask(this.#asked, this, 0)
      this.#upload = new Upload(this.#stream, this.#connection)
    } else this.#answering.break(error)
  }

  /** False for one byte more than was announced, which would begin another request, and for one less. */
  #fits(bytes: number, end: boolean): boolean {
    if (this.#left === undefined) return true
    this.#left -= bytes
    return end ? this.#left === 0 : this.#left >= 0
  }

  #fail(code: number, message: string): void {
    this.#answering.fail(code, message)
    this.#connection.leave(this)
  }
}
