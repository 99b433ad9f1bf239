import { RESET } from '@instatunnel/kit/frames'
import type { LinkStream } from '@instatunnel/kit/link'
import { answerHead, bodyLength } from './answer-head.ts'
import type { Answer } from './answer-parser.ts'
import { faultOf } from './local-fault.ts'
import { CANCELLED, type OpenVisit } from './visit.ts'

/** The way of an answer from the local server to the visitor: every byte as it comes, and no more than is taken. */
export class Answering {
  readonly #stream: LinkStream
  readonly #visit: OpenVisit
  /** Of the body; undefined where its end is told otherwise. */
  #length: number | undefined

  constructor(stream: LinkStream, visit: OpenVisit) {
    this.#stream = stream
    this.#visit = visit
  }

  get hasBegun(): boolean {
    return this.#visit.status !== undefined
  }

  /** Passes on what comes before the answer: 100, 102, 103. */
  inform(answer: Answer): void {
    if (!this.#visit.over) this.#stream.head(answerHead(answer), false)
  }

  /** Passes on the answer's head; false where that cannot be. */
  begin(answer: Answer): boolean {
    const visit = this.#visit
    const length = bodyLength(visit.method, answer)
    if (!this.#stream.head(answerHead(answer), length === 0)) {
      this.fail(RESET.local_broken, 'the head of the answer is too long')
      return false
    }
    this.#length = length
    visit.status = answer.status
    if (length === 0) visit.close()
    return true
  }

  /** Passes on a piece of the body; false where no more is to come until more may be sent. */
  pass(chunk: Buffer): boolean {
    const visit = this.#visit
    if (visit.over) return true
    visit.bytes += chunk.length
    // Where the end is known it goes with the last piece: most answers are small, and that is a frame less.
    const isLast = visit.bytes === this.#length
    const more = this.#stream.send(chunk, isLast)
    if (isLast) visit.close()
    return more || isLast
  }

  complete(trailers: readonly string[]): void {
    if (this.#visit.over) return
    if (trailers.length > 0) this.#stream.trailers(trailers.join('\n'))
    else this.#stream.end()
    this.#visit.close()
  }

  /** The way to the local server broke, or it did: no answer, or no whole one. */
  break(error: Error): void {
    const { code, message } = faultOf(error)
    this.fail(code, message)
  }

  /** Gives up; the visitor sees that the answer is not whole. */
  fail(code: number, message: string): void {
    this.#stream.reset(code, message)
    this.#visit.close(message)
  }

  /** Nobody waits any more. */
  cancel(): void {
    this.#visit.close(CANCELLED)
  }
}
