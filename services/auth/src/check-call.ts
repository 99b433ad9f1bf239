import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { status } from '@grpc/grpc-js'
import type { Logger } from '@instatunnel/kit/log'
import { Refusal } from '@instatunnel/kit/refusal'
import { internalRefusal, refusalFrom, rowOf } from '@instatunnel/kit/status'
import { Gathering } from './domain/grpc-frame.ts'
import { timeoutOf } from './domain/grpc-timeout.ts'
import { refusals } from './refusals.ts'

/**
 * An rpc with one message each way: the message in, the answer with its prefix out. What it throws is the call's status,
 * by the error table; the signal aborts when the caller goes away, or when its time is over.
 */
export type FramedUnary = (message: Buffer, signal: AbortSignal) => Buffer | Promise<Buffer>

// Envoy waits for 2 s: what takes longer was given up, or holds on to what it does not use.
const MAX_CALL_MS = 10_000

const NOT_POST = { ':status': 405, allow: 'POST' }
const NOT_GRPC = { ':status': 415 }
const NO_BODY = { endStream: true }
// Names and values in turn are read fastest. Nobody asks for the date (an option that Node has, and does not tell of).
const ANSWER = [':status', '200', 'content-type', 'application/grpc']
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false }
const TRAILERS = { 'grpc-status': '0' }

const CALL = Symbol('call')
type CalledStream = ServerHttp2Stream & { [CALL]: Call }

/**
 * Takes calls of gRPC on streams of node:http2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Every
 * request of the API pays for this: the listeners are the same functions for all calls, and it makes no promises.
 */
export function createCallTaker({ rpcs, log }: { rpcs: ReadonlyMap<string, FramedUnary>; log: Logger }) {
  return function takeCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', forget)
    if (!isOpen(stream)) return
    const rpc = rpcs.get(headers[':path'] ?? '')
    const timeoutMs = timeoutOf(headers['grpc-timeout'])
    if (headers[':method'] !== 'POST') stream.respond(NOT_POST, NO_BODY)
    else if (!isGrpc(headers['content-type'])) stream.respond(NOT_GRPC, NO_BODY)
    else if (!rpc) fail(stream, noSuchRpc())
    else if (timeoutMs === undefined) fail(stream, noTimeout())
    else begin(stream as CalledStream, new Call(rpc, log), timeoutMs)
  }
}

/** A call that is being made, as its stream knows it. */
class Call {
  readonly gathering = new Gathering()
  readonly gone = new AbortController()
  readonly rpc: FramedUnary
  readonly log: Logger
  timer: NodeJS.Timeout | undefined

  constructor(rpc: FramedUnary, log: Logger) {
    this.rpc = rpc
    this.log = log
  }
}

function begin(stream: CalledStream, call: Call, timeoutMs: number): void {
  stream[CALL] = call
  call.timer = setTimeout(expire, Math.min(timeoutMs, MAX_CALL_MS), stream)
  stream.on('data', gather)
  stream.on('end', answer)
  stream.on('wantTrailers', sendTrailers)
  stream.on('close', leave)
}

function gather(this: CalledStream, piece: Buffer): void {
  if (!isOpen(this)) return
  try {
    this[CALL].gathering.add(piece)
  } catch (error) {
    fail(this, refusalOf(error, this[CALL]))
  }
}

function answer(this: CalledStream): void {
  if (!isOpen(this)) return
  const { rpc, gathering, gone } = this[CALL]
  try {
    const answered = rpc(gathering.message(), gone.signal)
    if (answered instanceof Promise) answerLater(this, answered)
    else send(this, answered)
  } catch (error) {
    fail(this, refusalOf(error, this[CALL]))
  }
}

function answerLater(stream: CalledStream, answered: Promise<Buffer>): void {
  answered.then(
    (frame) => send(stream, frame),
    (error: unknown) => fail(stream, refusalOf(error, stream[CALL])),
  )
}

/** Head, message, trailers: Envoy takes no answer without any of them. */
function send(stream: CalledStream, frame: Buffer): void {
  if (!isOpen(stream)) return
  stream.respond(ANSWER, WITH_TRAILERS)
  stream.end(frame)
}

function sendTrailers(this: CalledStream): void {
  if (!this.closed && !this.destroyed) this.sendTrailers(TRAILERS)
}

/** Answers with a status and no message; what the caller still has to say, nobody hears. */
function fail(stream: ServerHttp2Stream, refusal: Refusal): void {
  if (!isOpen(stream)) return
  const { grpc } = rowOf(refusal, refusals)
  const headers = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': status[grpc],
    'grpc-message': encodeURI(refusal.message),
  }
  stream.respond(headers, NO_BODY)
  if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
}

function refusalOf(error: unknown, { log }: Call): Refusal {
  const refusal = refusalFrom(error)
  if (!refusal) log.error({ err: error }, 'failed')
  return refusal ?? internalRefusal()
}

function expire(stream: CalledStream): void {
  stream[CALL].gone.abort()
  if (stream.headersSent) stream.close(constants.NGHTTP2_CANCEL)
  else fail(stream, tooLate())
}

function leave(this: CalledStream): void {
  clearTimeout(this[CALL].timer)
  if (!this.headersSent) this[CALL].gone.abort()
}

/** A stream that breaks off has nobody to tell; what it was about ends when it closes. */
function forget(): void {}

/** Whether a call can still be answered. */
const isOpen = (stream: ServerHttp2Stream) => !stream.headersSent && !stream.closed && !stream.destroyed

const isGrpc = (type: string | undefined) =>
  type === 'application/grpc' || (type !== undefined && /^application\/grpc(\+proto)?(;|$)/.test(type))

const noSuchRpc = () => new Refusal('NO_SUCH_RPC', 'There is no such rpc here')
const noTimeout = () => new Refusal('UNREADABLE_REQUEST', 'grpc-timeout is no time')
const tooLate = () => new Refusal('TIMEOUT', 'The time for this call is over')
