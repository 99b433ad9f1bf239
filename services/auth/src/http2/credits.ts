import type { FrameWriter } from './frame-writer.ts'
import type { Http2Stream } from './stream.ts'

/** How much may come of one stream, and of all together, before it is credited (RFC 9113 §6.9.1). */
export const STREAM_WINDOW = 256 * 1024
export const CONNECTION_WINDOW = 1024 * 1024

/**
 * Credits a peer with what was taken of it, half a window at a time. Nothing is held back: so no peer that hears of its
 * credit is ever out of it, and none that sends more than it has can be told from one that has heard.
 */
export class Credits {
  readonly #writer: FrameWriter
  #due = 0

  constructor(writer: FrameWriter) {
    this.#writer = writer
  }

  /** So much has come, on whatever stream. */
  take(bytes: number): void {
    this.#due += bytes
    if (this.#due < CONNECTION_WINDOW / 2) return
    this.#writer.windowUpdate(0, this.#due)
    this.#due = 0
  }

  /** So much of it is a stream's that is still taken. */
  takeOf(stream: Http2Stream, bytes: number): void {
    stream.uncredited += bytes
    if (stream.uncredited < STREAM_WINDOW / 2) return
    this.#writer.windowUpdate(stream.id, stream.uncredited)
    stream.uncredited = 0
  }
}
