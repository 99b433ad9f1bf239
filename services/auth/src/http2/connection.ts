import type { Duplex } from 'node:stream'
import { CONNECTION_WINDOW, STREAM_WINDOW } from './credits.ts'
import { FrameBudget } from './frame-budget.ts'
import { FrameReader } from './frame-reader.ts'
import { createFrameWriter } from './frame-writer.ts'
import { createInbound } from './inbound.ts'
import { ConnectionError, errorCode, FIRST_WINDOW, MAX_STREAM_ID, setting } from './protocol.ts'
import { MAX_LIST_BYTES } from './request-heads.ts'
import { createRequests, type RequestTaker } from './requests.ts'
import { MAX_STREAMS, Streams } from './streams.ts'

/** A connection of HTTP/2, from a server's side. */
export interface Http2Connection {
  /** Takes no new requests, says so, and ends once those under way are answered. */
  close(): void
  /** Ends it at once, and what is under way with it. */
  destroy(): void
}

/** What there is to tell of a connection. */
export interface ConnectionEvents {
  /** Why it breaks off. */
  onError(error: Error): void
  onClose(): void
}

/**
 * Speaks HTTP/2 (RFC 9113) with a client that asks in short and is answered in short: whole messages, header fields
 * that are encoded already, and all that one turn has to say in one piece. Priorities say nothing to it, and it pushes
 * nothing. What a peer may not do ends its connection, or that stream, and nothing else.
 */
export function takeConnection<State>(
  socket: Duplex,
  taker: RequestTaker<State>,
  { onError, onClose }: ConnectionEvents,
): Http2Connection {
  const streams = new Streams()
  const writer = createFrameWriter(socket)
  const budget = new FrameBudget(() => performance.now())
  let isReading = false
  let isFlushDue = false
  let isClosing = false
  let isEnded = false

  const said = () => {
    if (isReading || isFlushDue) return
    isFlushDue = true
    process.nextTick(flush)
  }
  const flush = () => {
    isFlushDue = false
    if (isEnded) return
    writer.flush()
    if (streams.lastTaken <= MAX_STREAM_ID && streams.size === 0) end()
    // Whoever takes no answers is not heard either.
    else if (socket.writableNeedDrain) socket.pause()
  }
  const requests = createRequests({ streams, writer, budget, said }, taker)
  const reader = new FrameReader(
    createInbound({ ...requests, streams, writer, budget, onPingAck: () => isClosing && takeNoMore() }),
  )
  const read = (piece: Buffer) => {
    if (isEnded) return
    isReading = true
    try {
      reader.push(piece)
      requests.settle()
    } catch (error) {
      fail(error as Error)
    }
    isReading = false
    flush()
  }

  const takeNoMore = () => {
    streams.lastTaken = Math.min(streams.lastTaken, streams.lastId)
    writer.goaway(streams.lastTaken, errorCode.NO_ERROR)
  }
  const fail = (error: Error) => {
    onError(error)
    writer.goaway(streams.lastId, error instanceof ConnectionError ? error.code : errorCode.INTERNAL_ERROR)
    end()
  }
  const end = () => {
    if (isEnded) return
    isEnded = true
    requests.abandon()
    writer.flush()
    socket.pause()
    socket.end(linger)
  }
  /** What the peer has not read yet would be lost if it spoke to a socket that is gone: it is let speak, unheard. */
  const linger = () => {
    socket.resume()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }

  socket.on('data', read)
  socket.on('drain', () => socket.resume())
  socket.on('end', end)
  socket.on('error', onError)
  socket.on('close', () => {
    isEnded = true
    requests.abandon()
    onClose()
  })
  writer.settings([
    [setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS],
    [setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW],
    [setting.MAX_HEADER_LIST_SIZE, MAX_LIST_BYTES],
  ])
  writer.windowUpdate(0, CONNECTION_WINDOW - FIRST_WINDOW)
  writer.flush()

  return {
    close() {
      if (isClosing || isEnded) return
      isClosing = true
      if (!reader.isBegun) {
        socket.destroy()
        return
      }
      // What is on its way is still taken: the peer says when it has heard (RFC 9113 §6.8).
      writer.goaway(MAX_STREAM_ID, errorCode.NO_ERROR)
      writer.ping(CLOSING)
      writer.flush()
    },
    destroy() {
      isEnded = true
      requests.abandon()
      socket.destroy()
    },
  }
}

const CLOSING = Buffer.alloc(8)
// By then a peer that reads at all has heard that it is over, and ends as well.
const LINGER_MS = 1000
