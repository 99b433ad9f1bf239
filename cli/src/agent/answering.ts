import type { IncomingMessage } from 'node:http'
import { RESET } from '@instatunnel/kit/frames'
import type { LinkStream } from '@instatunnel/kit/link'
import { type Answer, answerHead, bodyLength } from './answer-head.ts'
import { faultOf } from './local-fault.ts'
import { CANCELLED, type OpenVisit } from './visit.ts'

/** The way of an answer from the local server to the visitor: every byte as it comes, and no more than is taken. */
export class Answering {
  readonly #stream: LinkStream
  readonly #visit: OpenVisit
  #response: IncomingMessage | undefined
  /** Of the body; undefined where its end is told otherwise. */
  #length: number | undefined

  constructor(stream: LinkStream, visit: OpenVisit) {
    this.#stream = stream
    this.#visit = visit
  }

  get hasBegun(): boolean {
    return this.#response !== undefined
  }

  /** Passes on what comes before the answer: 100, 102, 103. */
  inform(information: Answer): void {
    if (!this.#visit.over) this.#stream.head(answerHead(information), false)
  }

  /** Passes the answer on. */
  begin(response: IncomingMessage): void {
    const visit = this.#visit
    const length = bodyLength(visit.method, response)
    if (visit.over || !this.#stream.head(answerHead(response), length === 0)) {
      response.destroy()
      this.fail(RESET.local_broken, 'the head of the answer is too long')
      return
    }
    this.#response = response
    this.#length = length
    visit.status = response.statusCode
    response.on('data', (chunk: Buffer) => this.#received(chunk))
    response.on('end', () => this.#complete(response))
    response.on('error', (error) => this.broken(error))
    if (length === 0) visit.close()
  }

  /** More may be sent again. */
  resume(): void {
    this.#response?.resume()
  }

  /** The way to the local server broke, or it did: no answer, or no whole one. */
  broken(error: Error): void {
    const { code, message } = faultOf(error)
    this.fail(code, message)
  }

  /** Gives up; the visitor sees that the answer is not whole. */
  fail(code: number, message: string): void {
    if (this.#visit.over) return
    this.#stream.reset(code, message)
    this.#visit.close(message)
  }

  /** Nobody waits any more. */
  cancel(): void {
    this.#visit.close(CANCELLED)
  }

  #received(chunk: Buffer): void {
    const visit = this.#visit
    if (visit.over) return
    visit.bytes += chunk.length
    // Where the end is known it goes with the last piece: most answers are small, and that is a frame less.
    const isLast = visit.bytes === this.#length
    const more = this.#stream.send(chunk, isLast)
    if (isLast) visit.close()
    else if (!more) this.#response?.pause()
  }

  #complete({ rawTrailers }: IncomingMessage): void {
    if (this.#visit.over) return
    if (rawTrailers.length > 0) this.#stream.trailers(rawTrailers.join('\n'))
    else this.#stream.end()
    this.#visit.close()
  }
}
