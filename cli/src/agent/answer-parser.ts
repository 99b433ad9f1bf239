import { HTTPParser } from 'node:_http_common'
import { MAX_HEAD_BYTES } from '@instatunnel/kit/frames'

/** What stands in front of an answer's body. */
export interface Answer {
  readonly status: number
  readonly reason: string
  /** Names and values in turns. */
  readonly headers: readonly string[]
  /** The connection is another protocol's from here on. */
  readonly switches: boolean
  /** The connection may be used again after it. */
  readonly keepsAlive: boolean
}

/** What follows an answer's head: its body, if it has one; nothing, whatever its head says; another protocol. */
export const FOLLOWS = { body: 0, nothing: 1, protocol: 2 } as const

/** What a parser makes of bytes. */
export interface AnswerSink {
  /** The first byte of an answer. */
  onBegin(): void
  onHead(answer: Answer): (typeof FOLLOWS)[keyof typeof FOLLOWS]
  onBody(chunk: Buffer): void
  /** Also after each head that comes before the answer's own. */
  onComplete(trailers: readonly string[]): void
}

/**
 * Reads answers with Node's own parser, llhttp at its strictest: the very one that node:http has. Around it, node:http's
 * client costs more than all else that the agent does for a small request; and nothing is guessed here about where an
 * answer ends. It is no documented interface: the checkout's own Node is what runs this, and the tests of exchanges
 * are what holds it.
 */
export class AnswerParser {
  readonly #parser = new HTTPParser()
  /** Of long heads, which come in parts; and trailers. */
  #pairs: string[] = []

  constructor(sink: AnswerSink) {
    const parser = this.#parser
    parser.initialize(HTTPParser.RESPONSE, this, MAX_HEAD_BYTES, HTTPParser.kLenientNone)
    parser[HTTPParser.kOnMessageBegin] = () => sink.onBegin()
    parser[HTTPParser.kOnHeaders] = (pairs: string[]) => {
      for (const each of pairs) this.#pairs.push(each)
    }
    parser[HTTPParser.kOnHeadersComplete] = (
      _major: number,
      _minor: number,
      pairs: string[] | undefined,
      _method: undefined,
      _url: undefined,
      status: number,
      reason: string,
      switches: boolean,
      keepsAlive: boolean,
    ) => sink.onHead({ status, reason, headers: pairs ?? this.#takePairs(), switches, keepsAlive })
    parser[HTTPParser.kOnBody] = (chunk: Buffer) => sink.onBody(chunk)
    parser[HTTPParser.kOnMessageComplete] = () => sink.onComplete(this.#takePairs())
  }

  /** How many bytes were of HTTP; what follows them is another protocol's. Throws where they are none. */
  read(bytes: Buffer): number {
    const parsed = this.#parser.execute(bytes)
    if (typeof parsed === 'number') return parsed
    throw parsed
  }

  /** Nothing follows; an answer that has no other end ends here. Throws in the midst of one. */
  end(): void {
    const error = this.#parser.finish()
    if (error) throw error
  }

  /** Lets go of what it holds outside of JavaScript; not to be called by a sink. */
  close(): void {
    this.#parser.close()
  }

  #takePairs(): string[] {
    const pairs = this.#pairs
    if (pairs.length > 0) this.#pairs = []
    return pairs
  }
}
