import type { Answer } from './answer-parser.ts'

/** Who asks the local server something, and is told what becomes of it. */
export interface Asker {
  /** What comes before the answer: 100, 102, 103. */
  informed(answer: Answer): void
  answered(answer: Answer): void
  /** A piece of the answer's body; once protocols are switched, of whatever the local server says. */
  received(chunk: Buffer): void
  /** The answer is whole; once protocols are switched, the local server has said its last. */
  completed(trailers: readonly string[]): void
  /** After a write() that was false: more is taken. */
  drained(): void
  /** There is no connection, or none any more, before all that was whole. */
  broken(error: Error): void
}

/** A request, as it is written. */
export interface Asked {
  readonly method: string
  /** The head's lines, and the empty one. */
  readonly head: string
  readonly chunked: boolean
  /** True where nothing follows the head. */
  readonly ends: boolean
  /** True where the local server may switch to another protocol. */
  readonly upgrades: boolean
}
