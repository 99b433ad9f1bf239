import { FRAME, FrameError, FrameReader, RESET } from './frames.ts'
import type { Link, LinkOptions } from './link.ts'
import type { LinkOutlet } from './link-outlet.ts'
import type { LinkPulse } from './link-pulse.ts'
import { LinkStream } from './link-stream.ts'
import type { LinkTable } from './link-table.ts'

/** What a link is made of, beside what arrives. */
export interface LinkParts {
  readonly outlet: LinkOutlet
  readonly pulse: LinkPulse
  readonly streams: LinkTable
}

/** What arrives on a link: each frame reaches what it is for. Throws FrameError where it breaks the protocol. */
export class LinkInlet {
  readonly #link: Link
  readonly #options: LinkOptions
  readonly #outlet: LinkOutlet
  readonly #pulse: LinkPulse
  readonly #streams: LinkTable
  readonly #reader: FrameReader

  constructor(link: Link, { outlet, pulse, streams }: LinkParts, options: LinkOptions) {
    this.#link = link
    this.#options = options
    this.#outlet = outlet
    this.#pulse = pulse
    this.#streams = streams
    this.#reader = new FrameReader({
      data: (id, chunk, end) => this.#data(id, chunk, end),
      frame: (type, id, payload, end) => this.#frame(type, id, payload, end),
    })
  }

  read(chunk: Buffer): void {
    this.#pulse.heard()
    this.#reader.read(chunk)
  }

  /** The socket has drained: whoever waits for that may go on. */
  drained(): void {
    for (const stream of this.#outlet.drained()) {
      try {
        stream.wake()
      } catch (error) {
        this.#giveUp(stream, error)
      }
    }
  }

  #data(id: number, chunk: Buffer, end: boolean): void {
    if (this.#link.ended) return // what came in one piece with the end
    if (chunk.length === 0 && !end) this.#pulse.idled()
    const stream = this.#streams.find(id)
    if (!stream) return
    const { sink } = stream
    try {
      stream.received(chunk, end)
    } catch (error) {
      this.#giveUp(stream, error, sink)
    }
  }

  #frame(type: number, id: number, payload: Buffer, end: boolean): void {
    if (this.#link.ended) return
    switch (type) {
      case FRAME.ping:
        this.#pulse.idled()
        if (end) this.#pulse.ponged(payload)
        else this.#outlet.pong(payload)
        break
      case FRAME.goaway:
        this.#options.onGoaway(payload.toString('latin1'))
        break
      case FRAME.open:
        this.#opened(id, payload.toString('latin1'), end)
        break
      default:
        this.#onStream(type, id, payload, end)
    }
  }

  #onStream(type: number, id: number, payload: Buffer, end: boolean): void {
    const stream = this.#streams.find(id)
    if (!stream) {
      this.#streams.late()
      return
    }
    const { sink } = stream
    try {
      if (type === FRAME.head) stream.answered(payload.toString('latin1'), end)
      else if (type === FRAME.trailers) stream.trailed(payload.toString('latin1'))
      else if (type === FRAME.window) stream.credited(payload)
      else stream.over(payload[0] ?? RESET.cancelled, payload.toString('latin1', 1))
    } catch (error) {
      this.#giveUp(stream, error, sink)
    }
  }

  #opened(id: number, head: string, end: boolean): void {
    const { onOpen } = this.#options
    if (!onOpen) throw new FrameError('this side opens the streams')
    if (id === 0 || this.#streams.has(id)) throw new FrameError(`stream ${id} is open`)
    const stream = new LinkStream(this.#link, this.#outlet, id)
    stream.remoteEnded = end
    this.#streams.add(stream)
    try {
      stream.sink = onOpen(stream, head, end)
    } catch (error) {
      this.#giveUp(stream, error)
    }
  }

  /** Whatever is wrong with us, for one stream, ends that one alone. */
  #giveUp(stream: LinkStream, error: unknown, sink = stream.sink): void {
    if (error instanceof FrameError) throw error
    this.#options.onFault?.(error)
    stream.reset(RESET.local_broken)
    try {
      sink.reset(RESET.local_broken, '')
    } catch (another) {
      this.#options.onFault?.(another)
    }
  }
}
