import { Credits } from './credits.ts'
import type { FrameBudget } from './frame-budget.ts'
import type { FrameHead, TakeFrame } from './frame-reader.ts'
import { uint31 } from './frame-reader.ts'
import { checkFrame } from './frame-rules.ts'
import type { FrameWriter } from './frame-writer.ts'
import { HeaderGathering } from './header-gathering.ts'
import type { Outbound } from './outbound.ts'
import { ConnectionError, errorCode, frameFlag, frameType, protocolError, wrongSize } from './protocol.ts'
import { readSettings } from './settings.ts'
import type { Http2Stream } from './stream.ts'
import type { Streams } from './streams.ts'

/** What the frames of a connection come to. */
export interface InboundOptions {
  readonly streams: Streams
  readonly writer: FrameWriter
  readonly outbound: Outbound
  readonly budget: Pick<FrameBudget, 'spend'>
  /** A header block that has come to its end, of no stream that is open or of one that is. */
  onBlock(streamId: number, endsStream: boolean, bytes: Buffer, start: number, end: number): void
  onContent(stream: Http2Stream, bytes: Buffer, start: number, end: number, endsStream: boolean): void
  /** The peer takes a stream back. */
  onReset(stream: Http2Stream): void
  onPingAck(): void
}

/** Reads frames as RFC 9113 §6 has them; throws a ConnectionError at whatever it forbids. */
export function createInbound(options: InboundOptions): TakeFrame {
  const { streams, writer, outbound, budget, onBlock, onContent, onReset, onPingAck } = options
  const credits = new Credits(writer)
  let isGreeted = false
  let gathering: HeaderGathering | undefined

  const takeHeaders = (bytes: Buffer, { flags, streamId }: FrameHead, start: number, end: number) => {
    let from = start
    let to = end
    if (flags & frameFlag.PADDED) {
      to -= paddingOf(bytes, from, to)
      from += 1
    }
    if (flags & frameFlag.PRIORITY) from += PRIORITY_BYTES
    if (from > end) throw wrongSize('HEADERS')
    if (from > to) throw protocolError('headers are shorter than they say')
    const endsStream = (flags & frameFlag.END_STREAM) !== 0
    if (flags & frameFlag.END_HEADERS) return onBlock(streamId, endsStream, bytes, from, to)
    gathering = new HeaderGathering(streamId, endsStream)
    gathering.add(bytes.subarray(from, to))
  }

  const takeContinuation = (bytes: Buffer, { flags }: FrameHead, start: number, end: number) => {
    if (!gathering) throw protocolError('nothing is continued')
    gathering.add(bytes.subarray(start, end))
    if ((flags & frameFlag.END_HEADERS) === 0) return
    const { streamId, endsStream } = gathering
    const block = gathering.block()
    gathering = undefined
    onBlock(streamId, endsStream, block, 0, block.length)
  }

  const takeData = (bytes: Buffer, { flags, streamId }: FrameHead, start: number, end: number) => {
    const stream = streams.find(streamId)
    credits.take(end - start)
    if (!stream) {
      if (streams.wasBrokenOff(streamId)) return
      throw new ConnectionError(errorCode.STREAM_CLOSED, 'content comes after its end')
    }
    if (stream.isWhole) return stream.reset(errorCode.STREAM_CLOSED)
    let from = start
    let to = end
    if (flags & frameFlag.PADDED) {
      to -= paddingOf(bytes, from, to)
      from += 1
      if (from > to) throw protocolError('there is more padding than content')
    }
    credits.takeOf(stream, end - start)
    onContent(stream, bytes, from, to, (flags & frameFlag.END_STREAM) !== 0)
  }

  const takeWindowUpdate = (bytes: Buffer, { streamId }: FrameHead, start: number) => {
    const credit = uint31(bytes, start)
    if (streamId === 0) {
      if (credit === 0) throw protocolError('a credit is nothing')
      outbound.credit(credit)
      return
    }
    const stream = streams.find(streamId)
    if (!stream) return
    if (credit === 0) stream.reset(errorCode.PROTOCOL_ERROR)
    else if (!outbound.creditStream(stream, credit)) stream.reset(errorCode.FLOW_CONTROL_ERROR)
  }

  const takeSettings = (bytes: Buffer, { flags }: FrameHead, start: number, end: number) => {
    if (flags & frameFlag.ACK) {
      if (end > start) throw wrongSize('SETTINGS')
      return
    }
    const { setsTable, initialWindowSize } = readSettings(bytes, start, end)
    isGreeted = true
    writer.settingsAck()
    if (setsTable) outbound.dropTable()
    if (initialWindowSize !== undefined) outbound.setFirstWindow(initialWindowSize)
  }

  return (bytes, head, start, end) => {
    const { type, flags, streamId } = head
    if (gathering && (type !== frameType.CONTINUATION || streamId !== gathering.streamId)) {
      throw protocolError('headers are interrupted')
    }
    if (!isGreeted && (type !== frameType.SETTINGS || flags & frameFlag.ACK)) {
      throw protocolError('settings come first')
    }
    checkFrame(head, end - start)
    if (asksNothing(type, flags, end - start)) budget.spend(1)
    switch (type) {
      case frameType.DATA:
        return takeData(bytes, head, start, end)
      case frameType.HEADERS:
        return takeHeaders(bytes, head, start, end)
      case frameType.WINDOW_UPDATE:
        return takeWindowUpdate(bytes, head, start)
      case frameType.RST_STREAM: {
        const stream = streams.find(streamId)
        if (stream) onReset(stream)
        return
      }
      case frameType.SETTINGS:
        return takeSettings(bytes, head, start, end)
      case frameType.PING:
        if (flags & frameFlag.ACK) onPingAck()
        else writer.pingAck(bytes.subarray(start, end))
        return
      case frameType.CONTINUATION:
        return takeContinuation(bytes, head, start, end)
      case frameType.PUSH_PROMISE:
        throw protocolError('clients push nothing')
      // A client that goes away may have its answers; priorities, and frames that there are not, say nothing here.
    }
  }
}

const PRIORITY_BYTES = 5

/** Whether a frame brings no part of a request, so that it may be repeated for nothing. */
function asksNothing(type: number, flags: number, length: number): boolean {
  if (type === frameType.DATA) return length === 0 && (flags & frameFlag.END_STREAM) === 0
  return type !== frameType.HEADERS && type !== frameType.CONTINUATION
}

function paddingOf(bytes: Buffer, start: number, end: number): number {
  if (start === end) throw wrongSize('padded frame')
  return bytes[start] as number
}
