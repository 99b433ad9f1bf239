import { FRAME, FrameError, MAX_DATA_BYTES, WINDOW_BYTES } from './frames.ts'
import type { Link } from './link.ts'
import type { LinkOutlet } from './link-outlet.ts'

// Given back in quarters, so that the other side need never stop for it.
const CREDIT_BYTES = WINDOW_BYTES / 4

/** What one side does with its end of a stream. */
export interface StreamSink {
  /** An answer's head, as frames.ts has it; only where streams are opened. */
  head(text: string, end: boolean): void
  data(chunk: Buffer, end: boolean): void
  trailers(text: string): void
  /** The stream is over; nothing more comes of it and nothing goes. */
  reset(code: number, message: string): void
  /** After send() was false: more may be sent. */
  writable(): void
  /** The other side takes so much more; who passes on what comes of another stream gives that one as much. */
  credited?(bytes: number): void
}

/** Who is told that a stream is over, whichever way. */
export interface StreamHolder {
  released(stream: LinkStream): void
}

/** One request and its answer, on a link. */
export class LinkStream {
  readonly link: Link
  readonly id: number
  readonly #outlet: LinkOutlet
  sink: StreamSink
  /** What the other side still takes. */
  credit = WINDOW_BYTES
  localEnded = false
  remoteEnded = false
  /** Told once, when the stream is over. */
  holder: StreamHolder | undefined
  #blocked = false
  #unread = 0
  #read = 0
  /** The link's heartbeat in which something last moved, and that in which credit was last given back. */
  #movedBeat: number
  #creditBeat: number
  #over = false

  constructor(link: Link, outlet: LinkOutlet, id: number, sink: StreamSink = NOBODY) {
    this.link = link
    this.#outlet = outlet
    this.id = id
    this.sink = sink
    this.#movedBeat = this.#creditBeat = link.beats
  }

  /** For how many heartbeats (of 1.6 s) nothing has moved on it in either direction. */
  get idleBeats(): number {
    return this.link.beats - this.#movedBeat
  }

  /** Sends an answer's head; false where it is too long. */
  head(text: string, end: boolean): boolean {
    if (this.#over) return true
    const sent = this.#outlet.text(FRAME.head, this.id, text, end)
    if (sent && end) this.#endLocal()
    return sent
  }

  /** Sends a piece of a body; false where no more is to be sent until writable() is called. */
  send(chunk: Buffer, end = false): boolean {
    if (this.#over || this.localEnded) return true
    this.#movedBeat = this.link.beats
    this.credit -= chunk.length
    const more = this.#outlet.data(this, chunk, end)
    if (end) this.#endLocal()
    else this.#blocked = !more
    return more
  }

  /** Ends this direction. */
  end(): void {
    this.send(EMPTY, true)
  }

  /** Ends this direction with trailers. */
  trailers(text: string): void {
    if (this.#over || this.localEnded) return
    if (this.#outlet.text(FRAME.trailers, this.id, text, true)) this.#endLocal()
    else this.end()
  }

  /** Gives the stream up. */
  reset(code: number, message = ''): void {
    if (this.#over) return
    this.#done()
    const payload = Buffer.from(`${String.fromCharCode(code)}${message.slice(0, 200)}`, 'latin1')
    this.#outlet.frame(FRAME.reset, this.id, payload)
  }

  /** So much of what was received has gone on: the other side may send as much more. */
  consumed(bytes: number): void {
    this.#read += bytes
    if (this.#over || this.#read === 0) return
    // At least once a heartbeat, and behind the end too: by this the other side sees that the rest of it moves.
    const isDue = this.#creditBeat !== this.link.beats
    if (!isDue && (this.remoteEnded || this.#read < CREDIT_BYTES)) return
    this.#creditBeat = this.#movedBeat = this.link.beats
    this.#unread -= this.#read
    this.#outlet.window(this.id, this.#read)
    this.#read = 0
  }

  /** @private */
  received(chunk: Buffer, end: boolean): void {
    if (this.remoteEnded) throw new FrameError(`data after the end of stream ${this.id}`)
    this.#movedBeat = this.link.beats
    this.#unread += chunk.length
    if (this.#unread > WINDOW_BYTES + MAX_DATA_BYTES)
      throw new FrameError(`stream ${this.id} was given no credit`)
    const { sink } = this
    if (end) this.#endRemote()
    sink.data(chunk, end)
  }

  /** @private */
  answered(text: string, end: boolean): void {
    if (this.remoteEnded) throw new FrameError(`a head after the end of stream ${this.id}`)
    this.#movedBeat = this.link.beats
    const { sink } = this
    if (end) this.#endRemote()
    sink.head(text, end)
  }

  /** @private */
  trailed(text: string): void {
    if (this.remoteEnded) throw new FrameError(`trailers after the end of stream ${this.id}`)
    const { sink } = this
    this.#endRemote()
    sink.trailers(text)
  }

  /** @private */
  credited(payload: Buffer): void {
    if (payload.length !== 4) throw new FrameError('a window of no four bytes')
    const bytes = payload.readUInt32BE()
    if (bytes === 0) throw new FrameError('a window of no bytes')
    this.#movedBeat = this.link.beats
    this.credit += bytes
    if (this.credit > WINDOW_BYTES) throw new FrameError(`stream ${this.id} was given more than its window`)
    this.sink.credited?.(bytes)
    this.wake()
  }

  /** @private */
  wake(): void {
    if (!this.#blocked || this.credit <= 0 || this.#over || this.#outlet.holds(this)) return
    this.#blocked = false
    this.sink.writable()
  }

  /** Gives the stream up on both sides: this one's sink is told as if the other side had done so. */
  abort(code: number): void {
    const { sink } = this
    this.reset(code)
    sink.reset(code, '')
  }

  /** @private */
  over(code: number, message: string): void {
    if (this.#over) return
    const { sink } = this
    this.#done()
    sink.reset(code, message)
  }

  #endLocal(): void {
    this.localEnded = true
    if (this.remoteEnded) this.#done()
  }

  #endRemote(): void {
    this.remoteEnded = true
    if (this.localEnded) this.#done()
  }

  #done(): void {
    this.#over = true
    this.link.forget(this)
    // V8 keeps what was in a map that changes fast for long: not all of a request with it.
    this.sink = NOBODY
    const { holder } = this
    this.holder = undefined
    holder?.released(this)
  }
}

const EMPTY = Buffer.alloc(0)
const ignore = () => {}
const NOBODY: StreamSink = { head: ignore, data: ignore, trailers: ignore, reset: ignore, writable: ignore }
