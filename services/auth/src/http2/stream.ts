import type { ErrorCode } from './protocol.ts'
import type { RequestHead } from './request-head.ts'

/** An answer, encoded: its head and, where it has more, its content and trailers; content has trailers, always. */
export type Answer =
  | { readonly head: Uint8Array; readonly content?: undefined; readonly trailers?: undefined }
  | { readonly head: Uint8Array; readonly content: Uint8Array; readonly trailers: Uint8Array }

/** What a stream is carried by. */
export interface Carrier {
  answer(stream: Http2Stream, answer: Answer): void
  reset(stream: Http2Stream, code: ErrorCode): void
}

/** A request and its answer. `State` is what whoever takes requests keeps with each. */
export class Http2Stream<State = unknown> {
  readonly id: number
  readonly head: RequestHead
  state: State | undefined
  /** An answer was given; it may not have left yet. */
  isAnswered = false
  /** Nothing more is sent or taken. */
  isClosed = false
  /** The peer has no more to say. */
  isWhole = false
  /** Bytes of content that came. */
  received = 0
  /** Bytes that were taken and not credited yet. */
  uncredited = 0
  /** How many bytes the peer takes of this stream beyond the first window of all, less what was sent. */
  sendCredit = 0
  /** What is left of an answer that the peer has no room for yet. */
  rest: Answer | undefined
  sent = 0
  readonly #carrier: Carrier

  constructor(id: number, head: RequestHead, carrier: Carrier) {
    this.id = id
    this.head = head
    this.#carrier = carrier
  }

  /** Answers, once; does nothing where nobody waits any more. What the peer still has to say is not taken. */
  answer(answer: Answer): void {
    if (!this.isAnswered && !this.isClosed) this.#carrier.answer(this as Http2Stream, answer)
  }

  /** Breaks off. */
  reset(code: ErrorCode): void {
    if (!this.isClosed) this.#carrier.reset(this as Http2Stream, code)
  }
}
