import type { Duplex } from 'node:stream'
import { FRAME, FrameError, RESET } from './frames.ts'
import type { GoawayReason } from './goaway.ts'
import { LinkInlet } from './link-inlet.ts'
import { LinkOutlet } from './link-outlet.ts'
import { LinkPulse } from './link-pulse.ts'
import { LinkStream, type StreamSink } from './link-stream.ts'
import { LinkTable } from './link-table.ts'

export type { LinkStream, StreamHolder, StreamSink } from './link-stream.ts'

/** Why a link ended: what one of both said, or that the other went without a word. */
export type LinkEnd = GoawayReason | 'lost'

/** What one side does with a link. */
export interface LinkOptions {
  /** Takes a stream that the other side opens; where it is left out, opening one breaks the protocol. */
  onOpen?: (stream: LinkStream, head: string, end: boolean) => StreamSink
  /** The other side opens no more streams, or wants none opened. */
  onGoaway(reason: string): void
  /** It is over; every stream that is open is reset after this. */
  onEnd(end: LinkEnd): void
  /** How long the other side took to send a ping back, in milliseconds. */
  onPong?: (ms: number) => void
  /** Something of ours threw while a frame was handled; its stream is given up. */
  onFault?: (error: unknown) => void
  /** The id before that of the first stream opened here; 0. */
  lastStream?: number
}

/** One connection between relay and agent, or between two relays, and the streams on it. */
export class Link {
  readonly #socket: Duplex
  readonly #options: LinkOptions
  readonly #outlet: LinkOutlet
  readonly #pulse: LinkPulse
  readonly #streams: LinkTable
  readonly #inlet: LinkInlet
  #ended = false
  /** How many heartbeats have passed. */
  beats = 0

  constructor(socket: Duplex, options: LinkOptions) {
    this.#socket = socket
    this.#options = options
    this.#outlet = new LinkOutlet(socket)
    this.#streams = new LinkTable(options.lastStream)
    this.#pulse = new LinkPulse(this.#outlet, {
      onDead: (end) => this.#over(end),
      onBeat: () => {
        this.beats++
        if (this.size === 0) this.#outlet.rest()
      },
      onPong: options.onPong,
    })
    const parts = { outlet: this.#outlet, pulse: this.#pulse, streams: this.#streams }
    this.#inlet = new LinkInlet(this, parts, options)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => this.#inlet.drained())
    socket.on('error', () => this.#over('lost'))
    socket.on('end', () => this.#over('lost'))
    socket.on('close', () => this.#over('lost'))
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Bytes that wait for the other side to take them. */
  get waitingBytes(): number {
    return this.#outlet.waitingBytes
  }

  /** True where the other side has taken so little that nothing more is opened. */
  get isFull(): boolean {
    return this.#outlet.isFull
  }

  /** Reads what arrived together with the answer to the upgrade. */
  begin(head: Buffer): void {
    if (head.length > 0) this.#read(head)
  }

  /** The streams that are open. */
  streams(): Iterable<LinkStream> {
    return this.#streams.all()
  }

  /** Opens a stream with a request's head; undefined where the head is too long, or the link is full or over. */
  open(head: string, end: boolean, sink: StreamSink): LinkStream | undefined {
    if (this.isFull || this.#ended) return undefined
    const id = this.#streams.nextId()
    if (!this.#outlet.open(id, head, end)) return undefined
    const stream = new LinkStream(this, this.#outlet, id, sink)
    if (end) stream.localEnded = true
    this.#streams.add(stream)
    return stream
  }

  /** Says that no stream is to be opened any more; those that are open go on. */
  goaway(reason: GoawayReason): void {
    this.#outlet.frame(FRAME.goaway, 0, Buffer.from(reason))
  }

  /** Asks the other side to answer; onPong tells how long that took. */
  ping(): void {
    this.#pulse.ping()
  }

  /** Says why, and ends; open streams are reset. */
  close(reason: GoawayReason): void {
    if (this.#ended) return
    this.goaway(reason)
    this.#outlet.flush()
    this.#socket.end()
    this.#over(reason)
  }

  /** Ends at once, without a word. */
  destroy(): void {
    this.#over('lost')
  }

  /** @private A stream is over. */
  forget(stream: LinkStream): void {
    this.#streams.delete(stream)
    this.#outlet.forget(stream)
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return
    this.#guard(() => this.#inlet.read(chunk))
  }

  /** Whatever is wrong, with the other side or with us, ends this link alone. */
  #guard(handle: () => void): void {
    try {
      handle()
    } catch (error) {
      if (!(error instanceof FrameError)) this.#options.onFault?.(error)
      this.close('protocol_error')
    }
  }

  #over(end: LinkEnd): void {
    if (this.#ended) return
    this.#ended = true
    this.#outlet.end()
    this.#pulse.stop()
    // What was said last may still leave; a socket that takes nothing is not waited for.
    if (this.#socket.writableFinished || end === 'lost' || end === 'stalled') this.#socket.destroy()
    else setTimeout(() => this.#socket.destroy(), 1000).unref()
    // Its owner first: whoever opens streams anew must not come here again.
    this.#options.onEnd(end)
    for (const stream of this.#streams.all()) this.#guard(() => stream.over(RESET.lost, ''))
  }
}
