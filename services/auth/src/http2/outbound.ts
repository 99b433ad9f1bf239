import type { FrameWriter } from './frame-writer.ts'
import { NO_TABLE } from './header-block.ts'
import { ConnectionError, errorCode, FIRST_WINDOW, MAX_FRAME_BYTES, MAX_WINDOW } from './protocol.ts'
import type { Answer, Http2Stream } from './stream.ts'
import type { Streams } from './streams.ts'

/** Writes answers as far as the peer has room for them (RFC 9113 §5.2), and the rest once it has. */
export interface Outbound {
  answer(stream: Http2Stream, answer: Answer): void
  /** The peer has room for more on the whole connection. */
  credit(bytes: number): void
  /** The peer has room for more of one stream; false where that is more than there may be. */
  creditStream(stream: Http2Stream, bytes: number): boolean
  /** The peer gives streams another window to begin with, which changes those there are as well (§6.9.2). */
  setFirstWindow(bytes: number, streams: Pick<Streams, 'all'>): void
  /** The peer keeps less of a table, or none. */
  dropTable(): void
  /** The window that a stream begins with. */
  readonly firstWindow: number
  forget(stream: Http2Stream): void
}

/** Calls `ended` with each stream whose answer was written to its end, and which is to be forgotten then. */
export function createOutbound(writer: FrameWriter, ended: (stream: Http2Stream) => void): Outbound {
  /** Those that wait for the connection's window alone. */
  const waiting = new Set<Http2Stream>()
  let window = FIRST_WINDOW
  let firstWindow = FIRST_WINDOW
  let isTableDue = false

  const writeBlock = (stream: Http2Stream, block: Uint8Array, endStream: boolean) => {
    const whole = isTableDue ? Buffer.concat([NO_TABLE, block]) : block
    isTableDue = false
    writer.headers(stream.id, whole, endStream)
    if (endStream) ended(stream)
  }
  /** Writes as much as there is room for; says whether that was all. */
  const writeContent = (stream: Http2Stream, content: Uint8Array) => {
    while (stream.sent < content.length) {
      const room = Math.min(window, stream.sendWindow, MAX_FRAME_BYTES)
      if (room <= 0) return false
      const end = Math.min(content.length, stream.sent + room)
      writer.data(stream.id, content, stream.sent, end)
      window -= end - stream.sent
      stream.sendWindow -= end - stream.sent
      stream.sent = end
    }
    return true
  }
  const write = (stream: Http2Stream, answer: Answer) => {
    const { content, trailers } = answer
    if (content && !writeContent(stream, content)) {
      stream.rest = answer
      if (stream.sendWindow > 0) waiting.add(stream)
      else waiting.delete(stream)
      return
    }
    if (trailers) writeBlock(stream, trailers, true)
  }
  const forget = (stream: Http2Stream) => {
    stream.rest = undefined
    waiting.delete(stream)
  }

  return {
    answer(stream, answer) {
      stream.isAnswered = true
      const isAll = answer.trailers === undefined
      writeBlock(stream, answer.head, isAll)
      if (!isAll) write(stream, answer)
    },
    credit(bytes) {
      window += bytes
      if (window > MAX_WINDOW) throw tooMuch()
      for (const stream of waiting) {
        if (window <= 0) return
        if (stream.rest) write(stream, stream.rest)
      }
    },
    creditStream(stream, bytes) {
      stream.sendWindow += bytes
      if (stream.sendWindow > MAX_WINDOW) return false
      if (stream.rest) write(stream, stream.rest)
      return true
    },
    setFirstWindow(bytes, streams) {
      if (bytes === firstWindow) return
      for (const stream of streams.all()) {
        stream.sendWindow += bytes - firstWindow
        if (stream.sendWindow > MAX_WINDOW) throw tooMuch()
      }
      firstWindow = bytes
      for (const stream of streams.all()) if (stream.rest) write(stream, stream.rest)
    },
    dropTable() {
      isTableDue = true
    },
    get firstWindow() {
      return firstWindow
    },
    forget(stream) {
      if (stream.rest) forget(stream)
    },
  }
}

const tooMuch = () => new ConnectionError(errorCode.FLOW_CONTROL_ERROR, 'a window is too large')
