import type { Duplex } from 'node:stream'
import { FRAME, FrameWriter } from './frames.ts'
import type { LinkStream } from './link-stream.ts'

// Past this, a socket that does not drain holds its streams back.
const HIGH_WATER_BYTES = 1024 * 1024
// So much of heads is added to what does not drain: those of visitors that come and go would fill the memory.
const MAX_HELD_HEADS_BYTES = 4 * HIGH_WATER_BYTES
// And so many pongs: more than the heartbeats of a stalled side would ask for.
const MAX_HELD_PONGS = 32

/** What leaves on a link, in one write for each turn of the event loop; and the streams that wait until it has. */
export class LinkOutlet {
  readonly #socket: Duplex
  readonly #writer = new FrameWriter()
  #blocked = new Set<LinkStream>()
  #flushing = false
  #congested = false
  #ended = false
  #heldHeads = 0
  #heldPongs = 0
  #flushedBytes = 0
  #writtenBytes = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** Bytes that wait for the other side to take them. */
  get waitingBytes(): number {
    return this.#writer.length + this.#socket.writableLength
  }

  /** True where the other side has taken so little that nothing more is opened. */
  get isFull(): boolean {
    return this.#heldHeads > MAX_HELD_HEADS_BYTES && this.waitingBytes > HIGH_WATER_BYTES
  }

  /** The head that opens a stream; false where it is too long. */
  open(stream: number, head: string, end: boolean): boolean {
    this.#heldHeads = this.waitingBytes > HIGH_WATER_BYTES ? this.#heldHeads + head.length : 0
    return this.text(FRAME.open, stream, head, end)
  }

  /** A head or trailers; false where they are too long. */
  text(type: number, stream: number, text: string, end: boolean): boolean {
    this.#flushSoon()
    return this.#writer.text(type, stream, text, end)
  }

  /** A piece of a body; false where the stream must wait until it is woken. */
  data(stream: LinkStream, chunk: Buffer, end: boolean): boolean {
    this.#writer.data(stream.id, chunk, end)
    this.#flushSoon()
    this.#look()
    if (!this.#congested) return stream.credit > 0
    this.#blocked.add(stream)
    return false
  }

  /** Any frame but these. */
  frame(type: number, stream: number, payload: Buffer): void {
    this.#writer.bytes(type, stream, payload)
    this.#flushSoon()
  }

  window(stream: number, bytes: number): void {
    this.#writer.window(stream, bytes)
    this.#flushSoon()
  }

  pong(payload: Buffer): void {
    // Who sends pings and takes nothing gets no more than its heartbeats would ask for.
    this.#look()
    if (this.#congested && ++this.#heldPongs > MAX_HELD_PONGS) return
    this.#writer.bytes(FRAME.ping, 0, payload, true)
    this.#flushSoon()
  }

  /** True where the stream must wait until the socket has drained. */
  holds(stream: LinkStream): boolean {
    if (this.#congested) this.#blocked.add(stream)
    return this.#congested
  }

  /** The stream waits for nothing any more. */
  forget(stream: LinkStream): void {
    this.#blocked.delete(stream)
  }

  /** The socket has drained: the streams that waited for that, each told once. */
  drained(): Iterable<LinkStream> {
    this.#congested = false
    this.#heldPongs = 0
    const blocked = this.#blocked
    this.#blocked = new Set()
    return blocked
  }

  /** True where much waits, and the other side has taken nothing since this was asked last. */
  isStuck(): boolean {
    this.#look()
    const flushed = this.#writtenBytes - this.#socket.writableLength
    const isStuck = this.#congested && flushed === this.#flushedBytes
    this.#flushedBytes = flushed
    return isStuck
  }

  /** Lets go of what traffic has made it hold. */
  rest(): void {
    this.#writer.rest()
  }

  /** Nothing leaves any more. */
  end(): void {
    this.#ended = true
  }

  /** Has all leave that was said. */
  flush(): void {
    const socket = this.#socket
    if (this.#ended || socket.destroyed || this.#writer.length === 0) return
    this.#writtenBytes += this.#writer.length
    const frames = this.#writer.take()
    if (frames.length === 1) {
      socket.write(frames[0])
      return
    }
    socket.cork()
    for (const bytes of frames) socket.write(bytes)
    socket.uncork()
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.flush()
    })
  }

  /** Whatever waits, not data alone, is a reason to hold back, and to end what takes nothing. */
  #look(): void {
    if (this.waitingBytes > HIGH_WATER_BYTES) this.#congested = true
  }
}
