import { type ErrorCode, FRAME_HEAD_BYTES, frameFlag, frameType } from './protocol.ts'

// What one turn writes, as a rule, leaves in one piece; what is more leaves in pieces of this.
const PIECE_BYTES = 64 * 1024

/** Writes frames to where they leave together. */
export interface FrameWriter {
  /** A header block, whole. */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void
  /** A part of a stream's content. */
  data(streamId: number, bytes: Uint8Array, start: number, end: number): void
  reset(streamId: number, code: ErrorCode): void
  settings(pairs: readonly (readonly [id: number, value: number])[]): void
  settingsAck(): void
  ping(payload: Uint8Array): void
  pingAck(payload: Uint8Array): void
  goaway(lastStreamId: number, code: ErrorCode): void
  windowUpdate(streamId: number, credit: number): void
  /** Sends what has been written. */
  flush(): void
}

/** Where bytes go. */
export interface Sink {
  write(bytes: Uint8Array): unknown
  /** How many bytes it still holds. */
  readonly writableLength: number
}

/** Creates a writer; bytes are copied, so whoever gave them may use them again. */
export function createFrameWriter(sink: Sink): FrameWriter {
  let out = Buffer.allocUnsafeSlow(PIECE_BYTES)
  let unsent = 0
  let at = 0

  const flush = () => {
    if (at === unsent) return
    sink.write(out.subarray(unsent, at))
    unsent = at
    // What the kernel has not taken yet is not to be written over.
    if (sink.writableLength === 0) unsent = at = 0
  }
  const makeRoom = () => {
    flush()
    if (at > 0 && sink.writableLength > 0) out = Buffer.allocUnsafeSlow(PIECE_BYTES)
    unsent = at = 0
  }
  const head = (length: number, type: number, flags: number, streamId: number) => {
    if (at + FRAME_HEAD_BYTES + length > PIECE_BYTES) makeRoom()
    out[at] = length >>> 16
    out[at + 1] = length >>> 8
    out[at + 2] = length
    out[at + 3] = type
    out[at + 4] = flags
    put32(at + 5, streamId)
    at += FRAME_HEAD_BYTES
  }
  const put32 = (where: number, value: number) => {
    out[where] = value >>> 24
    out[where + 1] = value >>> 16
    out[where + 2] = value >>> 8
    out[where + 3] = value
  }
  const number = (value: number) => {
    put32(at, value)
    at += 4
  }
  const bytes = (part: Uint8Array) => {
    out.set(part, at)
    at += part.length
  }

  return {
    headers(streamId, block, endStream) {
      head(
        block.length,
        frameType.HEADERS,
        frameFlag.END_HEADERS | (endStream ? frameFlag.END_STREAM : 0),
        streamId,
      )
      bytes(block)
    },
    data(streamId, from, start, end) {
      head(end - start, frameType.DATA, 0, streamId)
      bytes(start === 0 && end === from.length ? from : from.subarray(start, end))
    },
    reset(streamId, code) {
      head(4, frameType.RST_STREAM, 0, streamId)
      number(code)
    },
    settings(pairs) {
      head(6 * pairs.length, frameType.SETTINGS, 0, 0)
      for (const [id, value] of pairs) {
        out[at++] = id >>> 8
        out[at++] = id
        number(value)
      }
    },
    settingsAck: () => head(0, frameType.SETTINGS, frameFlag.ACK, 0),
    ping(payload) {
      head(8, frameType.PING, 0, 0)
      bytes(payload)
    },
    pingAck(payload) {
      head(8, frameType.PING, frameFlag.ACK, 0)
      bytes(payload)
    },
    goaway(lastStreamId, code) {
      head(8, frameType.GOAWAY, 0, 0)
      number(lastStreamId)
      number(code)
    },
    windowUpdate(streamId, credit) {
      head(4, frameType.WINDOW_UPDATE, 0, streamId)
      number(credit)
    },
    flush,
  }
}
