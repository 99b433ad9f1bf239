import { FrameError } from './frames.ts'
import type { LinkStream } from './link-stream.ts'

const MAX_STREAM = 0x7fffffff

/** The streams that are open on a link, by their ids, which begin anew when they are used up. */
export class LinkTable {
  readonly #open = new Map<number, LinkStream>()
  #last: number
  #highest: number

  /** `last` is the id before that of the first stream opened here. */
  constructor(last = 0) {
    this.#last = last
    this.#highest = last
  }

  get size(): number {
    return this.#open.size
  }

  /** Those that are open now. */
  all(): LinkStream[] {
    return [...this.#open.values()]
  }

  has(id: number): boolean {
    return this.#open.has(id)
  }

  /**
   * The stream that a frame is for; undefined where it is over, as frames of it may still be on their way. Those of one
   * that never was break the protocol.
   */
  find(id: number): LinkStream | undefined {
    const stream = this.#open.get(id)
    if (!stream && id > this.#highest) throw new FrameError(`stream ${id} was never opened`)
    return stream
  }

  /** The id of the next one to be opened here. */
  nextId(): number {
    do {
      this.#last = this.#last >= MAX_STREAM ? 1 : this.#last + 1
    } while (this.#open.has(this.#last))
    return this.#last
  }

  add(stream: LinkStream): void {
    this.#highest = Math.max(this.#highest, stream.id)
    this.#open.set(stream.id, stream)
  }

  delete(stream: LinkStream): void {
    this.#open.delete(stream.id)
  }
}
