import { protocolError } from './protocol.ts'
import type { Http2Stream } from './stream.ts'

/** How many requests a peer may have under way. */
export const MAX_STREAMS = 1000
/**
 * How many may be worked on, those that the peer has taken back among them. Envoy takes a question back where its client
 * goes, and believes that it has room again: clients that go while something is looked up must not fill it for all others.
 */
export const MAX_WORKING = 10 * MAX_STREAMS

/** The streams of a connection that are open. */
export class Streams {
  /** The highest number that a stream of the peer has had. */
  lastId = 0
  /** No stream with a higher number is taken. */
  lastTaken = Number.POSITIVE_INFINITY
  /** How many requests are worked on: a peer that takes one back does not end the work. */
  working = 0
  readonly #open = new Map<number, Http2Stream>()
  // As many as a peer can have had open, and may still say something of that has crossed our word.
  readonly #broken = new Set<number>()

  get size(): number {
    return this.#open.size
  }

  /** The peer has as much under way as it may have. */
  get isFull(): boolean {
    return this.#open.size >= MAX_STREAMS || this.working >= MAX_WORKING
  }

  all(): Iterable<Http2Stream> {
    return this.#open.values()
  }

  add(stream: Http2Stream): void {
    this.#open.set(stream.id, stream)
  }

  /** The stream, where it is open; undefined where it was. Throws where no such stream has begun. */
  find(id: number): Http2Stream | undefined {
    const stream = this.#open.get(id)
    if (!stream && (id === 0 || id > this.lastId || id % 2 === 0)) {
      throw protocolError('a frame is of no stream that there is')
    }
    return stream
  }

  remove(id: number): void {
    this.#open.delete(id)
  }

  /** The stream is broken off: what comes of it from now on was said before the peer knew. */
  breakOff(id: number): void {
    this.#open.delete(id)
    this.#broken.add(id)
    if (this.#broken.size <= MAX_STREAMS) return
    const [oldest] = this.#broken
    this.#broken.delete(oldest as number)
  }

  clear(): void {
    this.#open.clear()
  }

  wasBrokenOff(id: number): boolean {
    return this.#broken.has(id)
  }
}
