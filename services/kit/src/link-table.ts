import { FrameError } from './frames.ts'
import type { LinkStream } from './link-stream.ts'

const MAX_STREAM = 0x7fffffff
// Of a stream that ends here a reset, a few windows and heads may be on their way; who sends more has nothing else in mind.
const LATE_FRAMES = 16
const MIN_LATE_FRAMES = 1000
const MAX_LATE_FRAMES = 100_000

/** The streams that are open on a link, by their ids, which begin anew when they are used up. */
export class LinkTable {
  readonly #open = new Map<number, LinkStream>()
  #last: number
  #highest: number
  /** How many frames may still come for streams that are over. */
  #late = MIN_LATE_FRAMES

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

  /** One more frame, other than data, for a stream that is over. */
  late(): void {
    if (--this.#late < 0) throw new FrameError('frames for streams that are over')
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
    if (this.#open.delete(stream.id)) this.#late = Math.min(this.#late + LATE_FRAMES, MAX_LATE_FRAMES)
  }
}
