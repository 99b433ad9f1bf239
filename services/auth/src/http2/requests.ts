import type { FrameBudget } from './frame-budget.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { InboundOptions } from './inbound.ts'
import { createOutbound, type Outbound } from './outbound.ts'
import { ConnectionError, type ErrorCode, errorCode } from './protocol.ts'
import type { RequestHead } from './request-head.ts'
import { type NoHead, RequestHeads } from './request-heads.ts'
import { Http2Stream } from './stream.ts'
import type { Streams } from './streams.ts'

/** Takes requests and answers them. Whatever it throws ends the connection, but `closed` is to throw nothing. */
export interface RequestTaker<State> {
  /** A request has begun; it may be answered from now on. */
  begun(stream: Http2Stream<State>): void
  /** A part of its content, which is the taker's to keep. */
  content(stream: Http2Stream<State>, piece: Buffer): void
  /** All of it is there. Gives a promise where it is not answered at once: of when the work on it is over. */
  whole(stream: Http2Stream<State>): Promise<void> | undefined
  /** What came along with its beginning is handled, and it goes on. */
  waits(stream: Http2Stream<State>): void
  /** It was answered to its end, or is broken off. */
  closed(stream: Http2Stream<State>): void
}

/** The requests of a connection. */
export interface Requests extends Pick<InboundOptions, 'outbound' | 'onBlock' | 'onContent' | 'onReset'> {
  /** All that had come is handled. */
  settle(): void
  /** Nobody waits for any of them any more. */
  abandon(): void
}

/** What the requests of a connection come by and are answered through. */
export interface RequestsOptions {
  readonly streams: Streams
  readonly writer: FrameWriter
  readonly budget: FrameBudget
  /** There is something to be sent. */
  said(): void
}

/** Makes requests of what frames say (RFC 9113 §8.1). */
export function createRequests<State>(
  { streams, writer, budget, said }: RequestsOptions,
  taker: RequestTaker<State>,
): Requests {
  const heads = new RequestHeads()
  let begun: Http2Stream<State>[] = []

  const close = (stream: Http2Stream<State>) => {
    stream.isClosed = true
    outbound.forget(stream as Http2Stream)
    taker.closed(stream)
  }
  const breakOff = (stream: Http2Stream, code: ErrorCode) => {
    writer.reset(stream.id, code)
    streams.breakOff(stream.id)
    close(stream as Http2Stream<State>)
    said()
  }
  const outbound: Outbound = createOutbound({
    streams,
    writer,
    budget,
    ended(stream) {
      // Nobody needs the rest of a request that is answered.
      if (!stream.isWhole) return breakOff(stream, errorCode.NO_ERROR)
      streams.remove(stream.id)
      close(stream as Http2Stream<State>)
    },
  })
  const carrier = {
    answer(stream: Http2Stream, answer: Parameters<Outbound['answer']>[1]) {
      outbound.answer(stream, answer)
      said()
    },
    reset: breakOff,
  }

  const begin = (id: number, endsStream: boolean, head: RequestHead | NoHead) => {
    streams.lastId = id
    if (head === 'malformed') budget.spend(1)
    if (typeof head === 'string' || id > streams.lastTaken || streams.isFull) {
      writer.reset(id, typeof head === 'string' ? REFUSED[head] : errorCode.REFUSED_STREAM)
      streams.breakOff(id)
      return
    }
    const stream = new Http2Stream<State>(id, head, carrier)
    budget.earn()
    // An answer that is given at once is to know whether there is anything left to break off.
    stream.isWhole = endsStream
    streams.add(stream as Http2Stream)
    begun.push(stream)
    taker.begun(stream)
    if (endsStream && !stream.isClosed) end(stream)
  }
  const end = (stream: Http2Stream<State>) => {
    const { head, received } = stream
    stream.isWhole = true
    if (head.contentLength !== undefined && received !== head.contentLength) {
      return stream.reset(errorCode.PROTOCOL_ERROR)
    }
    const work = taker.whole(stream)
    if (!work) return
    // It goes on until it is done, whether anybody still waits for it or not (CVE-2023-44487).
    streams.working++
    void work.finally(() => streams.working--)
  }

  return {
    outbound,
    onBlock(id, endsStream, bytes, start, until) {
      if (id > streams.lastId && id % 2 === 1) return begin(id, endsStream, heads.read(bytes, start, until))
      const areTrailers = heads.readTrailers(bytes, start, until)
      const stream = streams.find(id) as Http2Stream<State> | undefined
      if (!stream) {
        budget.spend(1)
        refuseAgain(id, streams)
      } else if (stream.isWhole) stream.reset(errorCode.STREAM_CLOSED)
      else if (!endsStream || !areTrailers) stream.reset(errorCode.PROTOCOL_ERROR)
      else end(stream)
    },
    onContent(carried, bytes, start, until, endsStream) {
      const stream = carried as Http2Stream<State>
      stream.received += until - start
      if (stream.received > (stream.head.contentLength ?? Number.POSITIVE_INFINITY)) {
        return stream.reset(errorCode.PROTOCOL_ERROR)
      }
      stream.isWhole = endsStream
      if (until > start) taker.content(stream, bytes.subarray(start, until))
      if (endsStream && !stream.isClosed) end(stream)
    },
    onReset(stream) {
      streams.remove(stream.id)
      close(stream as Http2Stream<State>)
    },
    settle() {
      outbound.resume()
      if (begun.length === 0) return
      const all = begun
      begun = []
      for (const stream of all) if (!stream.isClosed) taker.waits(stream)
    },
    abandon() {
      for (const stream of streams.all()) close(stream as Http2Stream<State>)
      streams.clear()
    },
  }
}

const REFUSED: Readonly<Record<NoHead, ErrorCode>> = {
  malformed: errorCode.PROTOCOL_ERROR,
  'too long': errorCode.ENHANCE_YOUR_CALM,
}

/** A stream that is over cannot begin again; what had crossed our breaking off is no matter. */
function refuseAgain(id: number, streams: Streams): void {
  if (streams.wasBrokenOff(id)) return
  const code = id === streams.lastId ? errorCode.STREAM_CLOSED : errorCode.PROTOCOL_ERROR
  throw new ConnectionError(code, 'a request begins where one was')
}
