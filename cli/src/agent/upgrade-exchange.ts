import { FrameError, RESET } from '@instatunnel/kit/frames'
import type { LinkStream, StreamSink } from '@instatunnel/kit/link'
import { answerHead } from './answer-head.ts'
import type { Answer } from './answer-parser.ts'
import { Answering } from './answering.ts'
import type { Asker } from './asker.ts'
import type { ExchangeDeps } from './exchange.ts'
import type { LocalConnection } from './local-connection.ts'
import type { RequestHead } from './request-head.ts'
import { Upload } from './upload.ts'
import { OpenVisit } from './visit.ts'

/**
 * A visitor that asks to switch to another protocol, WebSocket for one. Once the local server has agreed, bytes pass as
 * they are in both directions, each until its own end; where it does not agree, its answer passes as any other.
 */
export class UpgradeExchange implements StreamSink, Asker {
  readonly #stream: LinkStream
  readonly #visit: OpenVisit
  readonly #answering: Answering
  readonly #connection: LocalConnection
  readonly #upload: Upload
  #switched = false
  /** What the visitor said and the local server was not told yet. */
  readonly #unsaid: Buffer[] = []
  #hasEnded = false

  constructor({ local, report }: ExchangeDeps, stream: LinkStream, head: RequestHead) {
    this.#stream = stream
    this.#visit = new OpenVisit(head, report)
    this.#answering = new Answering(stream, this.#visit)
    const asked = { method: head.method, head: head.text, chunked: false, ends: true, upgrades: true }
    this.#connection = local.ask(asked, this, 0)
    this.#upload = new Upload(stream, this.#connection)
  }

  head(): void {
    throw new FrameError('a request has one head')
  }

  data(chunk: Buffer, end: boolean): void {
    if (this.#answering.hasBegun && !this.#switched) {
      this.#stream.consumed(chunk.length) // it was meant for another protocol
      return
    }
    if (chunk.length > 0) this.#unsaid.push(chunk)
    this.#hasEnded = end
    if (this.#switched) this.#say()
  }

  trailers(): void {
    throw new FrameError('bytes have no trailers')
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
    this.#answering.inform(answer)
  }

  answered(answer: Answer): void {
    if (!answer.switches) {
      this.#unsaid.length = 0
      if (!this.#answering.begin(answer)) this.#connection.leave(this)
      return
    }
    if (!this.#stream.head(answerHead(answer), false)) {
      this.#answering.fail(RESET.local_broken, 'the head of the answer is too long')
      this.#connection.leave(this)
      return
    }
    this.#switched = true
    this.#visit.status = answer.status
    this.#visit.close()
    this.#say()
  }

  received(chunk: Buffer): void {
    const more = this.#switched ? this.#stream.send(chunk) : this.#answering.pass(chunk)
    if (!more) this.#connection.pause()
  }

  completed(trailers: readonly string[]): void {
    if (this.#switched) this.#stream.end()
    else this.#answering.complete(trailers)
  }

  drained(): void {
    this.#upload.drained()
  }

  broken(error: Error): void {
    if (this.#switched) this.#stream.reset(RESET.local_broken)
    else this.#answering.break(error)
  }

  #say(): void {
    for (const piece of this.#unsaid.splice(0)) this.#upload.write(piece)
    if (this.#hasEnded) this.#upload.end()
  }
}
