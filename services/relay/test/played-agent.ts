import type { Duplex } from 'node:stream'
import { Link, type LinkEnd, type LinkStream, type StreamSink } from '@instatunnel/kit/link'

/** An agent's end of a connection, that a test plays by hand. */
export interface PlayedEnd {
  readonly socket: Duplex
  readonly link: Link
  /** The next stream that the relay opens: its head's lines, and what comes on it. */
  next(): Promise<PlayedStream>
  /** Answers every request from now on with 200 and this; with nothing, none. */
  answer(body: string | undefined): void
  /** How many requests came. */
  readonly requests: number
  /** Resolves with the reason of the relay's first goaway. */
  readonly sentAway: Promise<string>
  /** Resolves when the connection is over. */
  readonly ended: Promise<LinkEnd>
}

/** A stream as an agent has it, with all that came on it. */
export interface PlayedStream {
  readonly stream: LinkStream
  readonly lines: string[]
  readonly ended: boolean
  readonly chunks: Buffer[]
  /** Resolves at the end of what comes: trailers, where there are any. */
  readonly complete: Promise<string>
  readonly reset: Promise<number>
  /** What came is taken, unless this is set. */
  holds: boolean
  /** Calls back when more may be sent. */
  onWritable: () => void
}

/** Plays an agent on a socket that was upgraded; `early` came together with the answer. */
export function playAgentOn(socket: Duplex, early: Buffer = Buffer.alloc(0)): PlayedEnd {
  const opened: PlayedStream[] = []
  const wanted: ((stream: PlayedStream) => void)[] = []
  const away = Promise.withResolvers<string>()
  const over = Promise.withResolvers<LinkEnd>()
  let requests = 0
  let body: string | undefined
  const link = new Link(socket, {
    onOpen(stream, text, ended) {
      const { sink, played } = playStream(stream, text, ended)
      requests++
      const give = wanted.shift()
      if (give) give(played)
      else if (body !== undefined) answerWith(stream, body)
      else opened.push(played)
      return sink
    },
    onGoaway: away.resolve,
    onEnd: over.resolve,
  })
  link.begin(early)
  return {
    socket,
    link,
    next: () =>
      new Promise((give) => {
        const stream = opened.shift()
        if (stream) give(stream)
        else wanted.push(give)
      }),
    answer(text) {
      body = text
      if (text !== undefined) for (const { stream } of opened.splice(0)) answerWith(stream, text)
    },
    get requests() {
      return requests
    },
    sentAway: away.promise,
    ended: over.promise,
  }
}

/** Answers a request with 200 and this. */
export function answerWith(stream: LinkStream, body: string): void {
  stream.head(`200\nOK\ncontent-length\n${Buffer.byteLength(body)}`, body === '')
  if (body !== '') stream.send(Buffer.from(body), true)
}

function playStream(
  stream: LinkStream,
  text: string,
  ended: boolean,
): { sink: StreamSink; played: PlayedStream } {
  const chunks: Buffer[] = []
  const complete = Promise.withResolvers<string>()
  const reset = Promise.withResolvers<number>()
  if (ended) complete.resolve('')
  const played: PlayedStream = {
    stream,
    lines: text.split('\n'),
    ended,
    chunks,
    complete: complete.promise,
    reset: reset.promise,
    holds: false,
    onWritable: () => {},
  }
  const sink: StreamSink = {
    head: () => {},
    data(chunk, end) {
      chunks.push(chunk)
      if (!played.holds) stream.consumed(chunk.length)
      if (end) complete.resolve('')
    },
    trailers: complete.resolve,
    reset: reset.resolve,
    writable: () => played.onWritable(),
  }
  return { sink, played }
}
