import { type Duplex, duplexPair } from 'node:stream'
import { onTestFinished } from 'vitest'
import { END, FRAME, FrameReader } from '../src/frames.ts'
import { Link, type LinkEnd, type LinkOptions, type LinkStream, type StreamSink } from '../src/link.ts'

/** A stream's end that writes down what it is told, and takes all that comes unless `holds` is set. */
export class Recorder implements StreamSink {
  readonly told: string[] = []
  body = ''
  bytes = 0
  writables = 0
  holds = false
  stream: LinkStream | undefined

  head(text: string, end: boolean): void {
    this.told.push(`head ${text}${end ? ' end' : ''}`)
  }

  data(chunk: Buffer, end: boolean): void {
    this.body += chunk.length < 1000 ? chunk.toString('latin1') : ''
    this.bytes += chunk.length
    if (!this.holds) this.stream?.consumed(chunk.length)
    if (end) this.told.push('end')
  }

  trailers(text: string): void {
    this.told.push(`trailers ${text}`)
  }

  reset(code: number, message: string): void {
    this.told.push(`reset ${code} ${message}`)
  }

  writable(): void {
    this.writables++
  }
}

/** A link, and what it was told. */
export interface Side {
  readonly link: Link
  readonly goaways: string[]
  readonly ends: LinkEnd[]
  readonly faults: unknown[]
  readonly pongs: number[]
  /** Streams that the other side opened. */
  readonly taken: (Recorder & { head0: string; ended0: boolean; stream: LinkStream })[]
}

/** A link on this socket; `takes` where the other side may open streams. */
export function sideOf(
  socket: Duplex,
  { takes = false, ...options }: Partial<LinkOptions> & { takes?: boolean } = {},
): Side {
  const side: Omit<Side, 'link'> = { goaways: [], ends: [], faults: [], pongs: [], taken: [] }
  const onOpen = (stream: LinkStream, head: string, end: boolean) => {
    const recorder = Object.assign(new Recorder(), { stream, head0: head, ended0: end })
    side.taken.push(recorder)
    return recorder
  }
  const link = new Link(socket, {
    ...(takes ? { onOpen } : {}),
    onGoaway: (reason) => side.goaways.push(reason),
    onEnd: (end) => side.ends.push(end),
    onFault: (error) => side.faults.push(error),
    onPong: (ms) => side.pongs.push(ms),
    ...options,
  })
  onTestFinished(() => link.destroy())
  return { ...side, link }
}

/** Two links on one connection that holds so many bytes each way: who opens streams, and who takes them. */
export function linkPair({
  capacity = 64 * 1024,
  opener = {},
  taker = {},
}: {
  capacity?: number
  opener?: Partial<LinkOptions>
  taker?: Partial<LinkOptions>
} = {}): { opener: Side; taker: Side } {
  const [a, b] = duplexPair({ highWaterMark: capacity })
  return { opener: sideOf(a, opener), taker: sideOf(b, { takes: true, ...taker }) }
}

/** A link whose other side writes and reads bytes of its own making. */
export function linkAndBytes(options: Partial<LinkOptions> & { takes?: boolean } = {}) {
  const [own, other] = duplexPair({ highWaterMark: 64 * 1024 })
  const frames: string[] = []
  const reader = new FrameReader({
    data: (stream, chunk, end) =>
      frames.push(`${FRAME.data} ${stream} ${chunk.toString('latin1')}${end ? ' end' : ''}`),
    frame: (type, stream, payload, end) =>
      frames.push(`${type} ${stream} ${payload.toString('latin1')}${end ? ' end' : ''}`),
  })
  const writes: Buffer[] = []
  other.on('data', (chunk: Buffer) => {
    writes.push(chunk)
    reader.read(chunk)
  })
  other.on('error', () => {})
  return { ...sideOf(own, options), own, other, frames, writes }
}

/** A stream that is opened with nothing to send, and its end. */
export function opened(side: Side, head = 'GET\n/', { end = true, holds = false } = {}) {
  const sink = Object.assign(new Recorder(), { holds })
  const stream = side.link.open(head, end, sink)
  if (!stream) throw new Error('the head is too long')
  sink.stream = stream
  return Object.assign(sink, { stream })
}

/** The bytes of one frame. */
export function frame(type: keyof typeof FRAME, stream: number, payload: string | Buffer = '', end = false) {
  const body = Buffer.from(payload as string, 'latin1')
  const head = Buffer.alloc(8)
  head.writeUInt32BE(((FRAME[type] | (end ? END : 0)) * 2 ** 24 + body.length) >>> 0)
  head.writeUInt32BE(stream, 4)
  return Buffer.concat([head, body])
}

/** A window frame's payload. */
export function credit(bytes: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(bytes)
  return payload
}
