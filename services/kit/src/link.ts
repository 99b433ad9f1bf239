import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { FRAME, FrameError, FrameReader, FrameWriter, RESET } from './frames.ts'
import type { GoawayReason } from './goaway.ts'
import { LinkStream, type StreamSink } from './link-stream.ts'

export type { LinkStream, StreamSink } from './link-stream.ts'

// Both sides say something this often, and one that has not been heard for four times in a row is gone: noticed within
// 8 s, the name is free for its owner within the 10 s that are promised.
const HEARTBEAT_MS = 1600
const SILENT_BEATS = 4
// Past this, a socket that does not drain holds its streams back.
const HIGH_WATER_BYTES = 1024 * 1024
// So much of heads is added to what does not drain: those of visitors that come and go would fill the memory.
const MAX_HELD_HEADS_BYTES = 4 * HIGH_WATER_BYTES
// A socket that takes nothing for so long, though it is alive, is not going to.
const STALLED_BEATS = 20
const MAX_STREAM = 0x7fffffff
// Pings that are remembered, and pongs that wait in a socket that does not drain: more than a stalled one is given time.
const MAX_PINGS = 32
// Frames that carry nothing, between two heartbeats; who sends more has nothing else in mind.
const MAX_IDLE_FRAMES = 1000

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
  readonly #streams = new Map<number, LinkStream>()
  readonly #writer = new FrameWriter()
  readonly #reader: FrameReader
  readonly #beat: NodeJS.Timeout
  #blocked = new Set<LinkStream>()
  #lastStream: number
  /** The highest id that was ever opened: ids begin anew when they are used up. */
  #highestStream: number
  #flushing = false
  #congested = false
  #idleFrames = 0
  #heldHeads = 0
  #ended = false
  #heard = true
  #silentBeats = 0
  #stalledBeats = 0
  #flushedBytes = 0
  #writtenBytes = 0
  /** When each ping left that was not answered yet, by what it says, which nobody guesses. */
  readonly #pings = new Map<bigint, number>()
  #pongsHeld = 0

  constructor(socket: Duplex, options: LinkOptions) {
    this.#socket = socket
    this.#options = options
    this.#lastStream = options.lastStream ?? 0
    this.#highestStream = this.#lastStream
    this.#reader = new FrameReader({
      data: (id, chunk, end) => this.#data(id, chunk, end),
      frame: (type, id, payload, end) => this.#frame(type, id, payload, end),
    })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => this.#drained())
    socket.on('error', () => this.#over('lost'))
    socket.on('end', () => this.#over('lost'))
    socket.on('close', () => this.#over('lost'))
    this.#beat = setInterval(() => this.#onBeat(), HEARTBEAT_MS)
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
    return this.#writer.length + this.#socket.writableLength
  }

  /** Reads what arrived together with the answer to the upgrade. */
  begin(head: Buffer): void {
    if (head.length > 0) this.#read(head)
  }

  /** True where the other side has taken so little that nothing more is opened. */
  get isFull(): boolean {
    return this.#heldHeads > MAX_HELD_HEADS_BYTES && this.waitingBytes > HIGH_WATER_BYTES
  }

  /** Opens a stream with a request's head; undefined where the head is too long, or the link is full. */
  open(head: string, end: boolean, sink: StreamSink): LinkStream | undefined {
    if (this.isFull) return undefined
    this.#heldHeads = this.waitingBytes > HIGH_WATER_BYTES ? this.#heldHeads + head.length : 0
    const id = this.#nextStream()
    if (!this.#writer.text(FRAME.open, id, head, end)) return undefined
    const stream = new LinkStream(this, id, sink)
    if (end) stream.localEnded = true
    this.#streams.set(id, stream)
    this.flushSoon()
    return stream
  }

  /** Says that no stream is to be opened any more; those that are open go on. */
  goaway(reason: GoawayReason): void {
    this.#writer.bytes(FRAME.goaway, 0, Buffer.from(reason))
    this.flushSoon()
  }

  /** Asks the other side to answer; onPong tells how long that took. */
  ping(): void {
    const payload = randomBytes(8)
    if (this.#pings.size >= MAX_PINGS) this.#pings.clear()
    this.#pings.set(payload.readBigUInt64BE(), performance.now())
    this.#writer.bytes(FRAME.ping, 0, payload)
    this.flushSoon()
  }

  /** Says why, and ends; open streams are reset. */
  close(reason: GoawayReason): void {
    if (this.#ended) return
    this.goaway(reason)
    this.#flush()
    this.#socket.end()
    this.#over(reason)
  }

  /** Ends at once, without a word. */
  destroy(): void {
    this.#over('lost')
  }

  /** @private what streams do */
  send(stream: LinkStream, chunk: Buffer, end: boolean): boolean {
    this.#writer.data(stream.id, chunk, end)
    this.flushSoon()
    this.#look()
    if (!this.#congested) return stream.credit > 0
    this.#blocked.add(stream)
    return false
  }

  /** @private True where the stream must wait until the socket has drained. */
  holds(stream: LinkStream): boolean {
    if (this.#congested) this.#blocked.add(stream)
    return this.#congested
  }

  /** @private */
  text(type: number, stream: LinkStream, text: string, end: boolean): boolean {
    this.flushSoon()
    return this.#writer.text(type, stream.id, text, end)
  }

  /** @private */
  sendReset(stream: LinkStream, code: number, message: string): void {
    this.#writer.bytes(
      FRAME.reset,
      stream.id,
      Buffer.from(`${String.fromCharCode(code)}${message.slice(0, 200)}`, 'latin1'),
    )
    this.flushSoon()
  }

  /** @private */
  sendWindow(stream: LinkStream, bytes: number): void {
    this.#writer.window(stream.id, bytes)
    this.flushSoon()
  }

  /** @private */
  forget(stream: LinkStream): void {
    this.#streams.delete(stream.id)
    this.#blocked.delete(stream)
  }

  /** Frames of one turn of the event loop leave in one write. */
  flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
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

  /** Whatever waits, not data alone, is a reason to hold back, and to end what takes nothing. */
  #look(): void {
    if (this.waitingBytes > HIGH_WATER_BYTES) this.#congested = true
  }

  #drained(): void {
    this.#congested = false
    this.#pongsHeld = 0
    const blocked = this.#blocked
    this.#blocked = new Set()
    for (const stream of blocked) {
      try {
        stream.wake()
      } catch (error) {
        this.#giveUp(stream, error)
      }
    }
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return
    this.#heard = true
    this.#guard(() => this.#reader.read(chunk))
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

  #data(id: number, chunk: Buffer, end: boolean): void {
    if (this.#ended) return // what came in one piece with the end
    if (chunk.length === 0 && !end) this.#idle()
    const stream = this.#streams.get(id)
    if (!stream) {
      this.#refuseUnknown(id)
      return
    }
    const { sink } = stream
    try {
      stream.received(chunk, end)
    } catch (error) {
      this.#giveUp(stream, error, sink)
    }
  }

  #frame(type: number, id: number, payload: Buffer, end: boolean): void {
    if (this.#ended) return
    switch (type) {
      case FRAME.ping:
        this.#idle()
        if (end) this.#ponged(payload)
        else this.#pong(payload)
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

  /** One more frame that carries nothing. */
  #idle(): void {
    if (++this.#idleFrames > MAX_IDLE_FRAMES) throw new FrameError('nothing but empty frames')
  }

  #onStream(type: number, id: number, payload: Buffer, end: boolean): void {
    const stream = this.#streams.get(id)
    if (!stream) {
      this.#refuseUnknown(id)
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

  #opened(id: number, head: string, end: boolean): void {
    const { onOpen } = this.#options
    if (!onOpen) throw new FrameError('this side opens the streams')
    if (id === 0 || this.#streams.has(id)) throw new FrameError(`stream ${id} is open`)
    this.#highestStream = Math.max(this.#highestStream, id)
    const stream = new LinkStream(this, id)
    stream.remoteEnded = end
    this.#streams.set(id, stream)
    try {
      stream.sink = onOpen(stream, head, end)
    } catch (error) {
      this.#giveUp(stream, error)
    }
  }

  /** Frames of a stream that is over may still be on their way; those of one that never was break the protocol. */
  #refuseUnknown(id: number): void {
    if (id > this.#highestStream) throw new FrameError(`stream ${id} was never opened`)
  }

  #pong(payload: Buffer): void {
    // Who sends pings and takes nothing gets no more than its heartbeats would ask for.
    this.#look()
    if (this.#congested && ++this.#pongsHeld > MAX_PINGS) return
    this.#writer.bytes(FRAME.ping, 0, payload, true)
    this.flushSoon()
  }

  #ponged(payload: Buffer): void {
    const ping = payload.length === 8 ? payload.readBigUInt64BE() : 0n
    const sentAt = this.#pings.get(ping)
    if (sentAt === undefined) return
    this.#pings.delete(ping)
    // It has taken all that was sent before, although the socket may count that in one piece.
    this.#stalledBeats = 0
    this.#options.onPong?.(performance.now() - sentAt)
  }

  #onBeat(): void {
    this.#idleFrames = 0
    this.#silentBeats = this.#heard ? 0 : this.#silentBeats + 1
    this.#heard = false
    if (this.#silentBeats >= SILENT_BEATS) {
      this.destroy()
      return
    }
    this.#look()
    const flushed = this.#writtenBytes - this.#socket.writableLength
    this.#stalledBeats = this.#congested && flushed === this.#flushedBytes ? this.#stalledBeats + 1 : 0
    this.#flushedBytes = flushed
    if (this.#stalledBeats >= STALLED_BEATS) {
      this.#over('stalled')
      return
    }
    if (this.#streams.size === 0) this.#writer.rest()
    this.ping()
  }

  #nextStream(): number {
    do {
      this.#lastStream = this.#lastStream >= MAX_STREAM ? 1 : this.#lastStream + 1
    } while (this.#streams.has(this.#lastStream))
    this.#highestStream = Math.max(this.#highestStream, this.#lastStream)
    return this.#lastStream
  }

  #over(end: LinkEnd): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#beat)
    // What was said last may still leave; a socket that takes nothing is not waited for.
    if (this.#socket.writableFinished || end === 'lost' || end === 'stalled') this.#socket.destroy()
    else setTimeout(() => this.#socket.destroy(), 1000).unref()
    // Its owner first: whoever opens streams anew must not come here again.
    this.#options.onEnd(end)
    for (const stream of [...this.#streams.values()]) this.#guard(() => stream.over(RESET.lost, ''))
  }
}
