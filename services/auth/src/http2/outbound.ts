import type { FrameBudget } from './frame-budget.ts'
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
  setFirstWindow(bytes: number): void
  /** Writes what settings have made room for: once for all frames that came together. */
  resume(): void
  /** The peer keeps less of a table, or none. */
  dropTable(): void
  forget(stream: Http2Stream): void
}

/** What answers are written with. */
export interface OutboundOptions {
  readonly streams: Pick<Streams, 'all' | 'size'>
  readonly writer: FrameWriter
  readonly budget: Pick<FrameBudget, 'spend'>
  /** Called with each stream whose answer was written to its end, and which is to be forgotten then. */
  ended(stream: Http2Stream): void
}

/** Creates what writes the answers of one connection. */
export function createOutbound({ streams, writer, budget, ended }: OutboundOptions): Outbound {
  /** Those that wait for the connection's window alone. */
  const waiting = new Set<Http2Stream>()
  /** Those that wait for a window of their own. */
  const blocked = new Set<Http2Stream>()
  let window = FIRST_WINDOW
  let firstWindow = FIRST_WINDOW
  /** No stream that is open has been credited more than this beyond its first window. */
  let mostCredit = 0
  let isResumeDue = false
  let isTableDue = false

  /** How many bytes the peer takes of a stream now; less than none where it has taken back what it gave. */
  const windowOf = (stream: Http2Stream) => firstWindow + stream.sendCredit
  const writeBlock = (stream: Http2Stream, block: Uint8Array, endStream: boolean) => {
    const whole = isTableDue ? Buffer.concat([NO_TABLE, block]) : block
    isTableDue = false
    writer.headers(stream.id, whole, endStream)
    if (endStream) ended(stream)
  }
  /** Writes as much as there is room for; says whether that was all. */
  const writeContent = (stream: Http2Stream, content: Uint8Array) => {
    while (stream.sent < content.length) {
      const room = Math.min(window, windowOf(stream), MAX_FRAME_BYTES)
      if (room <= 0) return false
      const end = Math.min(content.length, stream.sent + room)
      writer.data(stream.id, content, stream.sent, end)
      window -= end - stream.sent
      stream.sendCredit -= end - stream.sent
      stream.sent = end
    }
    return true
  }
  const write = (stream: Http2Stream, answer: Answer) => {
    const { content, trailers } = answer
    if (content && !writeContent(stream, content)) {
      stream.rest = answer
      const hasOwn = windowOf(stream) > 0
      const [to, from] = hasOwn ? [waiting, blocked] : [blocked, waiting]
      from.delete(stream)
      to.add(stream)
      return
    }
    if (trailers) writeBlock(stream, trailers, true)
  }
  /** Looks at every stream, which costs as much: only where one was credited nearly all that there may be. */
  const measureCredit = () => {
    budget.spend(streams.size)
    mostCredit = 0
    for (const { sendCredit } of streams.all()) mostCredit = Math.max(mostCredit, sendCredit)
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
      stream.sendCredit += bytes
      if (windowOf(stream) > MAX_WINDOW) return false
      mostCredit = Math.max(mostCredit, stream.sendCredit)
      if (stream.rest) write(stream, stream.rest)
      return true
    },
    setFirstWindow(bytes) {
      if (bytes > firstWindow) isResumeDue = true
      firstWindow = bytes
      if (firstWindow + mostCredit <= MAX_WINDOW) return
      measureCredit()
      if (firstWindow + mostCredit > MAX_WINDOW) throw tooMuch()
    },
    resume() {
      if (!isResumeDue) return
      isResumeDue = false
      budget.spend(blocked.size)
      for (const stream of blocked) if (stream.rest) write(stream, stream.rest)
    },
    dropTable() {
      isTableDue = true
    },
    forget(stream) {
      if (!stream.rest) return
      stream.rest = undefined
      waiting.delete(stream)
      blocked.delete(stream)
    },
  }
}

const tooMuch = () => new ConnectionError(errorCode.FLOW_CONTROL_ERROR, 'a window is too large')
