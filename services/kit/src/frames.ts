/**
 * The frames that relay and agent exchange over one connection, as services/relay/README.md tells them: eight bytes of
 * head (type, 24 bits of length, 32 bits of stream) and a payload. Both ends read and write them with this module.
 */

/** What a frame is, in the low seven bits of its first byte. */
export const FRAME = {
  /** A request's head; whoever has visitors opens streams. */
  open: 1,
  /** An answer's head; those of 1xx come before the final one. */
  head: 2,
  /** A piece of a body, or of what follows an upgrade. */
  data: 3,
  /** Trailers; nothing follows them in their direction. */
  trailers: 4,
  /** The stream is given up in both directions: a code and a message. */
  reset: 5,
  /** So many bytes more may be sent on a stream. */
  window: 6,
  /** Eight bytes to be sent back with END set. */
  ping: 7,
  /** No stream is opened any more, and why. */
  goaway: 8,
} as const

/** Set in the first byte: nothing follows in this direction of the stream; on a ping: it is the answer. */
export const END = 0x80

/** Why a stream was given up: the first byte of a reset. */
export const RESET = {
  /** Nobody waits any more. */
  cancelled: 0,
  /** The local server cannot be reached. */
  local_down: 1,
  /** The local server broke off, or what it said is no HTTP. */
  local_broken: 2,
  /** The agent, or the tunnel, has as many requests as it may have; this one may have made room for another. */
  too_many: 3,
  /** The agent is leaving and has done nothing about this request. */
  refused: 4,
  /** The agent went, or the way to it broke. */
  lost: 5,
  /** No answer came in time. */
  too_slow: 6,
  /** The visitor's address, or its network, has as many requests under way as it may have. */
  crowded: 7,
} as const

/** A stream's first credit in each direction, in bytes: the most that is held of it, but for one frame more. */
export const WINDOW_BYTES = 512 * 1024
/** The most that one data frame carries. */
export const MAX_DATA_BYTES = 256 * 1024
/** The most that a head or trailers may take. */
export const MAX_HEAD_BYTES = 64 * 1024

const HEADER_BYTES = 8
// What frames are gathered in grows with the traffic: a thousand connections at rest hold next to nothing.
const MIN_SLAB_BYTES = 256
const MAX_SLAB_BYTES = 64 * 1024
// Below this, copying is cheaper than one buffer more in a write.
const COPIED_BYTES = 4 * 1024

/** The other side does not speak this protocol. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

/** What a reader makes of bytes. Data comes as it arrives, in pieces of a frame; everything else whole. */
export interface FrameSink {
  /** `end` is set on the last piece of a frame that ends its direction. */
  data(stream: number, chunk: Buffer, end: boolean): void
  /** Heads, trailers, resets, windows, pings and goaways; `payload` is not to be kept. */
  frame(type: number, stream: number, payload: Buffer, end: boolean): void
}

const EMPTY = Buffer.alloc(0)

/** Reads frames from whatever pieces bytes arrive in; throws FrameError where they are none. */
export class FrameReader {
  readonly #sink: FrameSink
  /** What is kept of a frame that has not arrived whole: its head, and the payload of all but data. */
  #kept: Buffer = EMPTY
  /** Of the data frame that is arriving. */
  #left = 0
  #stream = 0
  #end = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  read(arrived: Buffer): void {
    const chunk = this.#kept.length === 0 ? arrived : Buffer.concat([this.#kept, arrived])
    this.#kept = EMPTY
    let at = 0
    while (at < chunk.length) {
      if (this.#left > 0) {
        const piece = chunk.subarray(at, at + this.#left)
        at += piece.length
        this.#left -= piece.length
        this.#sink.data(this.#stream, piece, this.#end && this.#left === 0)
        continue
      }
      if (chunk.length - at < HEADER_BYTES) break
      const first = chunk[at] as number
      const type = first & 0x7f
      const length = chunk.readUIntBE(at + 1, 3)
      if (length > maxPayload(type)) throw new FrameError(`a frame of type ${type} with ${length} bytes`)
      if (type === FRAME.data) {
        this.#stream = chunk.readUInt32BE(at + 4)
        this.#end = first >= END
        this.#left = length
        at += HEADER_BYTES
        if (length === 0) this.#sink.data(this.#stream, EMPTY, this.#end)
        continue
      }
      const end = at + HEADER_BYTES + length
      if (end > chunk.length) break
      const stream = chunk.readUInt32BE(at + 4)
      this.#sink.frame(type, stream, chunk.subarray(at + HEADER_BYTES, end), first >= END)
      at = end
    }
    // Copied, so that the rest of a large chunk is not held for a few bytes.
    if (at < chunk.length) this.#kept = Buffer.from(chunk.subarray(at))
  }
}

const MAX_PAYLOAD: readonly number[] = [
  0,
  MAX_HEAD_BYTES,
  MAX_HEAD_BYTES,
  MAX_DATA_BYTES,
  MAX_HEAD_BYTES,
  256,
  4,
  8,
  256,
]

function maxPayload(type: number): number {
  const max = MAX_PAYLOAD[type]
  if (max === undefined || type === 0) throw new FrameError(`no frame has type ${type}`)
  return max
}

/** Gathers frames until they are taken: small ones in one buffer, large data as it is, uncopied. */
export class FrameWriter {
  #slab: Buffer = EMPTY
  #slabBytes = MIN_SLAB_BYTES / 2
  #from = 0
  #at = 0
  #ready: Buffer[] = []
  /** Bytes that wait to be taken. */
  length = 0

  /** Appends a head or trailers: latin1, as HTTP's are. False, and nothing is appended, where they are too long. */
  text(type: number, stream: number, text: string, end: boolean): boolean {
    if (text.length > MAX_HEAD_BYTES) return false
    this.#head(type, stream, text.length, end)
    this.#reserve(text.length)
    this.#slab.write(text, this.#at, text.length, 'latin1')
    this.#advance(text.length)
    return true
  }

  /** Appends data, in as many frames as it takes. */
  data(stream: number, chunk: Buffer, end: boolean): void {
    let rest = chunk
    while (rest.length > MAX_DATA_BYTES) {
      this.#data(stream, rest.subarray(0, MAX_DATA_BYTES), false)
      rest = rest.subarray(MAX_DATA_BYTES)
    }
    this.#data(stream, rest, end)
  }

  /** Appends any other frame. */
  bytes(type: number, stream: number, payload: Buffer, end = false): void {
    this.#head(type, stream, payload.length, end)
    this.#copy(payload)
  }

  window(stream: number, credit: number): void {
    this.#head(FRAME.window, stream, 4, false)
    this.#reserve(4)
    this.#slab.writeUInt32BE(credit, this.#at)
    this.#advance(4)
  }

  /** Everything appended since it was last taken, in order. */
  take(): Buffer[] {
    this.#cut()
    const taken = this.#ready
    this.#ready = []
    this.length = 0
    return taken
  }

  /** Lets go of what traffic has made it hold; called where there is none. */
  rest(): void {
    if (this.length > 0) return
    this.#slab = EMPTY
    this.#slabBytes = MIN_SLAB_BYTES / 2
    this.#from = 0
    this.#at = 0
  }

  #data(stream: number, chunk: Buffer, end: boolean): void {
    this.#head(FRAME.data, stream, chunk.length, end)
    if (chunk.length <= COPIED_BYTES) {
      this.#copy(chunk)
      return
    }
    this.#cut()
    this.#ready.push(chunk)
    this.length += chunk.length
  }

  #head(type: number, stream: number, length: number, end: boolean): void {
    this.#reserve(HEADER_BYTES)
    const slab = this.#slab
    slab.writeUInt32BE((((end ? type | END : type) << 24) | length) >>> 0, this.#at)
    slab.writeUInt32BE(stream, this.#at + 4)
    this.#advance(HEADER_BYTES)
  }

  #copy(payload: Buffer): void {
    this.#reserve(payload.length)
    payload.copy(this.#slab, this.#at)
    this.#advance(payload.length)
  }

  #advance(bytes: number): void {
    this.#at += bytes
    this.length += bytes
  }

  /** Makes room; what was taken may still be on its way, so a full slab is left to the collector. */
  #reserve(bytes: number): void {
    if (this.#slab.length - this.#at >= bytes) return
    if (this.#slabBytes >= MAX_SLAB_BYTES) this.#cut()
    this.#slabBytes = Math.min(this.#slabBytes * 2, MAX_SLAB_BYTES)
    const waiting = this.#slab.subarray(this.#from, this.#at)
    this.#slab = Buffer.allocUnsafe(Math.max(this.#slabBytes, waiting.length + bytes))
    this.#at = waiting.copy(this.#slab)
    this.#from = 0
  }

  #cut(): void {
    if (this.#at === this.#from) return
    this.#ready.push(this.#slab.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}
