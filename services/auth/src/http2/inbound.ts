import type { FrameHead, TakeFrame } from './frame-reader.ts'
import { uint31 } from './frame-reader.ts'
import type { FrameWriter } from './frame-writer.ts'
import { HeaderGathering } from './header-gathering.ts'
import type { Outbound } from './outbound.ts'
import { ConnectionError, errorCode, frameFlag, frameType } from './protocol.ts'
import { readSettings } from './settings.ts'
import type { Http2Stream } from './stream.ts'
import type { Streams } from './streams.ts'

/** How much may come of one stream, and of all together, before it is credited. */
export const STREAM_WINDOW = 256 * 1024
export const CONNECTION_WINDOW = 1024 * 1024

/** What the frames of a connection come to. */
export interface InboundOptions {
  readonly streams: Streams
  readonly writer: FrameWriter
  readonly outbound: Outbound
  /** A header block that has come to its end, of no stream that is open or of one that is. */
  onBlock(streamId: number, endsStream: boolean, bytes: Buffer, start: number, end: number): void
  onContent(stream: Http2Stream, bytes: Buffer, start: number, end: number, endsStream: boolean): void
  /** The peer takes a stream back. */
  onReset(stream: Http2Stream): void
  onPingAck(): void
}

/** Reads frames as RFC 9113 §6 has them; throws a ConnectionError at whatever it forbids. */
export function createInbound(options: InboundOptions): TakeFrame {
  const { streams, writer, outbound, onBlock, onContent, onReset, onPingAck } = options
  let isGreeted = false
  let gathering: HeaderGathering | undefined
  let uncredited = 0

  const takeHeaders = (bytes: Buffer, { flags, streamId }: FrameHead, start: number, end: number) => {
    let from = start
    let to = end
    if (flags & frameFlag.PADDED) {
      to -= paddingOf(bytes, from, to)
      from += 1
    }
    if (flags & frameFlag.PRIORITY) from += PRIORITY_BYTES
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
    creditConnection(end - start)
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
    if (!creditStream(stream, end - start)) return stream.reset(errorCode.FLOW_CONTROL_ERROR)
    onContent(stream, bytes, from, to, (flags & frameFlag.END_STREAM) !== 0)
  }

  /** Nothing is held back: what was taken is credited, half a window at a time. */
  const creditConnection = (length: number) => {
    uncredited += length
    if (uncredited > CONNECTION_WINDOW) {
      throw new ConnectionError(errorCode.FLOW_CONTROL_ERROR, 'more came than was asked for')
    }
    if (uncredited < CONNECTION_WINDOW / 2) return
    writer.windowUpdate(0, uncredited)
    uncredited = 0
  }
  const creditStream = (stream: Http2Stream, length: number) => {
    stream.uncredited += length
    if (stream.uncredited > STREAM_WINDOW) return false
    if (stream.uncredited < STREAM_WINDOW / 2) return true
    writer.windowUpdate(stream.id, stream.uncredited)
    stream.uncredited = 0
    return true
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
    if (setsTable) outbound.dropTable()
    if (initialWindowSize !== undefined) outbound.setFirstWindow(initialWindowSize, streams.all())
    isGreeted = true
    writer.settingsAck()
  }

  return (bytes, head, start, end) => {
    const { type, flags, streamId } = head
    if (gathering && (type !== frameType.CONTINUATION || streamId !== gathering.streamId)) {
      throw protocolError('headers are interrupted')
    }
    if (!isGreeted && (type !== frameType.SETTINGS || flags & frameFlag.ACK)) {
      throw protocolError('settings come first')
    }
    const { ofConnection = streamId === 0, bytes: length = end - start } = FRAMES[type] ?? UNKNOWN
    if (ofConnection !== (streamId === 0)) throw protocolError('a frame is of the wrong stream')
    if (length !== end - start) throw wrongSize(`frame ${type}`)
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
      case frameType.GOAWAY:
        if (end - start < GOAWAY_BYTES) throw wrongSize('GOAWAY')
      // A client that goes away may have its answers; priorities, and frames that there are not, say nothing here.
    }
  }
}

interface FrameRule {
  readonly ofConnection?: boolean
  readonly bytes?: number
}

/** Frames by their types: whether they are of the connection or of a stream, and their length where they have but one. */
const FRAMES: readonly FrameRule[] = [
  { ofConnection: false },
  { ofConnection: false },
  { ofConnection: false, bytes: 5 },
  { ofConnection: false, bytes: 4 },
  { ofConnection: true },
  { ofConnection: false },
  { ofConnection: true, bytes: 8 },
  { ofConnection: true },
  { bytes: 4 },
  { ofConnection: false },
]
const UNKNOWN: FrameRule = {}
const GOAWAY_BYTES = 8
const PRIORITY_BYTES = 5

function paddingOf(bytes: Buffer, start: number, end: number): number {
  if (start === end) throw wrongSize('padded frame')
  return bytes[start] as number
}

const protocolError = (message: string) => new ConnectionError(errorCode.PROTOCOL_ERROR, message)
const wrongSize = (name: string) =>
  new ConnectionError(errorCode.FRAME_SIZE_ERROR, `${name} has the wrong size`)
