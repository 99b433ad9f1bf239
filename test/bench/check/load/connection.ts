import { connect } from 'node:net'
import { createFrameReader, type Frame, flags, frame, kinds, settingsOf } from './frames.ts'
import { headerBlocks, TABLE_BYTES } from './header-blocks.ts'

/** One rpc, called over and over on one connection. */
export interface Calls {
  /** Sends a request, in frames of gRPC; `onAnswer` gets what answers it, without them. All of one turn leave at once. */
  call(request: Buffer, onAnswer: (answer: Buffer) => void): void
  close(): void
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const HEADER_TABLE_SIZE = 1
const ENABLE_PUSH = 2
const INITIAL_WINDOW_SIZE = 4
const FIRST_WINDOW = 65_535
const MAX_WINDOW = 2 ** 31 - 1
/** No frame of more is taken unless the other side says so. */
const MAX_FRAME_BYTES = 16_384
const GRPC_HEAD_BYTES = 5

/**
 * Opens an HTTP/2 connection for calls of one rpc. It is by hand, as node:http2's client takes as much of a core as the
 * servers that are measured: what is measured would be the client. Whatever is not an answer ends the run.
 */
export function openCalls(
  { port, headers }: { port: number; headers: Readonly<Record<string, string>> },
  onFailure: (error: Error) => void,
): Calls {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const blocks = headerBlocks(headers)
  const streams = new Map<number, Stream>()
  const blocked: (() => void)[] = []
  let lastStreamId = -1
  let sendWindow = FIRST_WINDOW
  let received = 0
  let outgoing: Buffer[] = []

  const fail = (why: string) => {
    socket.destroy()
    onFailure(new Error(why))
  }
  const send = (bytes: Buffer) => {
    if (outgoing.push(bytes) === 1) process.nextTick(flush)
  }
  const flush = () => {
    socket.write(Buffer.concat(outgoing))
    outgoing = []
  }

  const call: Calls['call'] = (request, onAnswer) => {
    if (request.length > MAX_FRAME_BYTES) return fail('a request is larger than a frame')
    if (request.length > sendWindow) return void blocked.push(() => call(request, onAnswer))
    sendWindow -= request.length
    lastStreamId += 2
    streams.set(lastStreamId, { onAnswer, parts: [] })
    send(
      frame(kinds.headers, flags.endHeaders, lastStreamId, lastStreamId === 1 ? blocks.first : blocks.next),
    )
    send(frame(kinds.data, flags.endStream, lastStreamId, request))
  }

  const onFrame = (met: Frame) => {
    const { kind, payload, streamId } = met
    if (kind === kinds.settings && !(met.flags & flags.ack)) onSettings(payload)
    else if (kind === kinds.ping && !(met.flags & flags.ack)) send(frame(kinds.ping, flags.ack, 0, payload))
    else if (kind === kinds.windowUpdate && streamId === 0) widen(payload.readUInt32BE(0))
    else if (kind === kinds.data || kind === kinds.headers) onAnswered(met)
    else if (kind === kinds.reset) fail(`a call was reset with code ${payload.readUInt32BE(0)}`)
    else if (kind === kinds.goaway) fail(`the server goes away with code ${payload.readUInt32BE(4)}`)
  }
  const onSettings = (payload: Buffer) => {
    for (let at = 0; at < payload.length; at += 6) {
      const isTable = payload.readUInt16BE(at) === HEADER_TABLE_SIZE
      if (isTable && payload.readUInt32BE(at + 2) < TABLE_BYTES) fail('the server has no table for headers')
    }
    send(frame(kinds.settings, flags.ack, 0, Buffer.alloc(0)))
  }
  const widen = (bytes: number) => {
    sendWindow += bytes
    for (const again of blocked.splice(0)) again()
  }
  const onAnswered = ({ kind, flags: flagged, streamId, payload }: Frame) => {
    const stream = streams.get(streamId)
    if (!stream) return fail(`an answer to call ${streamId}, which is none`)
    if (kind === kinds.data) {
      if (flagged & flags.padded) return fail('padding is not expected')
      if (payload.length > 0) stream.parts.push(payload)
      received += payload.length
      if (received > MAX_WINDOW / 2) {
        send(frame(kinds.windowUpdate, 0, 0, uint32(received)))
        received = 0
      }
    }
    if (!(flagged & flags.endStream)) return
    streams.delete(streamId)
    const [only, ...more] = stream.parts
    const answer = more.length > 0 ? Buffer.concat(stream.parts) : only
    if (!answer || answer.length !== GRPC_HEAD_BYTES + answer.readUInt32BE(1))
      return fail('a call was refused, or half answered')
    stream.onAnswer(answer.subarray(GRPC_HEAD_BYTES))
  }

  const read = createFrameReader(onFrame)
  socket.on('data', read).on('error', (error) => fail(`the connection failed: ${error.message}`))
  socket.on('end', () => fail('the server closed the connection'))
  send(PREFACE)
  const settings = settingsOf([
    [ENABLE_PUSH, 0],
    [INITIAL_WINDOW_SIZE, MAX_WINDOW],
  ])
  send(frame(kinds.settings, 0, 0, settings))
  send(frame(kinds.windowUpdate, 0, 0, uint32(MAX_WINDOW - FIRST_WINDOW)))
  return { call, close: () => socket.removeAllListeners('end').destroy() }
}

interface Stream {
  readonly onAnswer: (answer: Buffer) => void
  readonly parts: Buffer[]
}

/** A message in gRPC's own frame: not compressed, and how long it is. */
export function grpcFrame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(GRPC_HEAD_BYTES)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
