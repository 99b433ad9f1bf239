import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, expect } from 'vitest'
import { type Http2Connection, takeConnection } from '../src/http2/connection.ts'
import { headerBlock } from '../src/http2/header-block.ts'
import type { RequestTaker } from '../src/http2/requests.ts'
import type { Answer, Http2Stream } from '../src/http2/stream.ts'
import { createHappenings, type Happenings } from './happenings.ts'
import { GREETING, type RawPeer, rawPeer } from './raw-http2.ts'

/** A request as its taker has heard of it. */
export class Asked {
  readonly pieces: Buffer[] = []
  isWhole = false
  /** Whoever works on it sets this: it is over when the work is. */
  work: Promise<void> | undefined
  waits = 0
  closed = 0
}

/** A stream whose taker keeps that. */
export type AskedStream = Http2Stream<Asked>

/** A server, and all that it was asked. */
export interface Http2Serving {
  readonly port: number
  readonly asked: AskedStream[]
  readonly connections: Http2Connection[]
  readonly sockets: Socket[]
  readonly errors: Error[]
  /** How many of its connections are over. */
  readonly closes: () => number
  readonly until: Happenings['until']
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

export const HEAD = headerBlock({ ':status': '200' })
export const TRAILERS = headerBlock({ done: 'yes' })

/** An answer with this content, between a head and trailers. */
export const answerOf = (content: Uint8Array): Answer => ({ head: HEAD, content, trailers: TRAILERS })

/**
 * What a path is answered with once the request is whole: `/bytes/<count>` with so many, `/head` with nothing but a head,
 * `/later` not until somebody tells it to, all others with what came. `/early` is answered before it is whole.
 */
function answerNow(stream: AskedStream): void {
  const [, kind, count] = stream.head.path.split('/')
  if (kind === 'later') return
  if (kind === 'head') stream.answer({ head: HEAD })
  else if (kind === 'bytes') stream.answer(answerOf(Buffer.alloc(sizeIn(count), stream.id)))
  else stream.answer(answerOf(Buffer.concat(stream.state?.pieces ?? [])))
}

/** A size as a path says it; whoever says what is none has nothing. */
const sizeIn = (text = '') => (/^\d{1,7}$/.test(text) ? Number(text) : 0)

/**
 * Serves HTTP/2 in clear until the test is over. Each request that began must have ended then, once, and nothing more may
 * have been told of it after that.
 */
export async function servingHttp2(instead: Partial<RequestTaker<Asked>> = {}): Promise<Http2Serving> {
  const { happened, until } = createHappenings()
  const asked: AskedStream[] = []
  const errors: Error[] = []
  const connections: Http2Connection[] = []
  const sockets: Socket[] = []
  const late: string[] = []
  let closes = 0
  const tell = (name: keyof RequestTaker<Asked>, stream: AskedStream, ...rest: [] | [Buffer]) => {
    if (stream.state?.closed) late.push(name)
    const told = instead[name] as ((stream: AskedStream, ...rest: [] | [Buffer]) => void) | undefined
    told?.(stream, ...rest)
    happened()
    return told !== undefined
  }
  const taker: RequestTaker<Asked> = {
    begun(stream) {
      stream.state = new Asked()
      asked.push(stream)
      if (!tell('begun', stream) && stream.head.path === '/early') stream.answer(answerOf(Buffer.from('no')))
    },
    content(stream, piece) {
      stream.state?.pieces.push(piece)
      tell('content', stream, piece)
    },
    whole(stream) {
      if (stream.state) stream.state.isWhole = true
      if (!tell('whole', stream)) answerNow(stream)
      return stream.state?.work
    },
    waits(stream) {
      if (stream.state) stream.state.waits++
      tell('waits', stream)
    },
    closed(stream) {
      tell('closed', stream)
      if (stream.state) stream.state.closed++
      happened()
    },
  }
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    sockets.push(socket)
    connections.push(
      takeConnection(socket, taker, {
        onError: (error) => errors.push(error),
        onClose() {
          closes++
          happened()
        },
      }),
    )
    happened()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    const gone = once(server, 'close')
    server.close()
    for (const connection of connections) connection.destroy()
    await gone
    await until(() => closes === connections.length)
    expect(asked.filter(({ state }) => state?.closed !== 1).map(({ id }) => id)).toEqual([])
    expect(late).toEqual([])
  })
  const { port } = server.address() as AddressInfo
  return { port, asked, connections, sockets, errors, until, closes: () => closes }
}

/** A client of it, which has greeted and was greeted, until the test is over. */
export async function greeted(server: Http2Serving, greeting: Uint8Array = GREETING): Promise<RawPeer> {
  const peer = await talkingTo(server, greeting)
  await peer.heard()
  return peer
}

/** A client of it that has said this, until the test is over. */
export async function talkingTo({ port }: Http2Serving, said: Uint8Array): Promise<RawPeer> {
  const peer = await rawPeer(port, said)
  closing.push(() => peer.socket.destroy())
  return peer
}
