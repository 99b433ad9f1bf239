import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
} from 'node:http2'
import { connect as connectNet } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

/** The path of the rpc that is called, unless another is named. */
export const ECHO = '/test.Echo/Echo'

/** What came of a call: its head, its trailers, which are the head where there is nothing else, and its bytes. */
export interface GrpcAnswer {
  readonly head: Readonly<Record<string, unknown>>
  readonly trailers: Readonly<Record<string, unknown>> | undefined
  readonly body: Buffer
  /** The code of the RST_STREAM that it ended with; 0 for none. */
  readonly reset: number
}

/** A connection of HTTP/2, once its settings were exchanged; by TLS where it is told how. */
export async function http2Connection(
  port: number,
  { tls, ...options }: ClientSessionOptions & { tls?: ConnectionOptions } = {},
): Promise<ClientHttp2Session> {
  const place = { host: '127.0.0.1', port }
  const socket = tls ? connectTls({ ...place, ...tls, ALPNProtocols: ['h2'] }) : connectNet(place)
  const session = connect(`${tls ? 'https' : 'http'}://127.0.0.1`, {
    ...options,
    createConnection: () => socket,
  })
  await new Promise<void>((resolve, reject) => {
    session.once('error', reject)
    // A session hears nothing of a socket that was refused after its handshake.
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
    session.once('remoteSettings', () => resolve())
  })
  session.on('error', () => {})
  return session
}

/** Begins a call as Envoy does, but for these headers; null leaves one out. */
export function beginCall(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string | null>> = {},
): ClientHttp2Stream {
  const all = {
    ':method': 'POST',
    ':path': ECHO,
    te: 'trailers',
    'content-type': 'application/grpc',
    'grpc-timeout': '2000m',
    ...headers,
  }
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null)
  const stream = session.request(Object.fromEntries(given), { endStream: false })
  stream.on('error', () => {})
  return stream
}

/** What a call comes to. */
export function answerOf(stream: ClientHttp2Stream): Promise<GrpcAnswer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = []
    let head = {}
    let trailers: object | undefined
    stream.on('response', (headers) => {
      head = { ...headers }
    })
    stream.on('trailers', (headers) => {
      trailers = { ...headers }
    })
    stream.on('data', (piece: Buffer) => pieces.push(piece))
    stream.on('close', () =>
      resolve({ head, trailers, body: Buffer.concat(pieces), reset: stream.rstCode ?? 0 } as GrpcAnswer),
    )
  })
}

/** Calls with these bytes. */
export function callWith(
  session: ClientHttp2Session,
  bytes: Uint8Array,
  headers?: Readonly<Record<string, string | null>>,
): Promise<GrpcAnswer> {
  const stream = beginCall(session, headers)
  stream.end(bytes)
  return answerOf(stream)
}
