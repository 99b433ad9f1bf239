import { status } from '@grpc/grpc-js'
import type { Logger } from '@instatunnel/kit/log'
import { Refusal } from '@instatunnel/kit/refusal'
import { internalRefusal, refusalFrom, rowOf } from '@instatunnel/kit/status'
import { Gathering } from './domain/grpc-frame.ts'
import { timeoutOf } from './domain/grpc-timeout.ts'
import { headerBlock } from './http2/header-block.ts'
import { errorCode } from './http2/protocol.ts'
import type { RequestTaker } from './http2/requests.ts'
import type { Http2Stream } from './http2/stream.ts'
import { refusals } from './refusals.ts'

/**
 * An rpc with one message each way: the message in, the answer with its prefix out. What it throws is the call's status,
 * by the error table; the signal aborts when the caller goes away, or when its time is over.
 */
export type FramedUnary = (message: Buffer, signal: AbortSignal) => Buffer | Promise<Buffer>

// Envoy waits for 2 s: what takes longer was given up, or holds on to what it does not use.
const MAX_CALL_MS = 10_000
// A message of ours is a sentence.
const MAX_STATUS_MESSAGE = 1024

const NOT_POST = { head: headerBlock({ ':status': '405', allow: 'POST' }) }
const NOT_GRPC = { head: headerBlock({ ':status': '415' }) }
const ANSWER = headerBlock({ ':status': '200', 'content-type': 'application/grpc' })
const TRAILERS = headerBlock({ 'grpc-status': '0' })

/** A call that is being made, as its stream knows it. */
class Call {
  readonly gathering = new Gathering()
  readonly gone = new AbortController()
  readonly rpc: FramedUnary
  readonly timeoutMs: number
  timer: NodeJS.Timeout | undefined

  constructor(rpc: FramedUnary, timeoutMs: number) {
    this.rpc = rpc
    this.timeoutMs = timeoutMs
  }
}

type CallStream = Http2Stream<Call>

/**
 * Takes calls of gRPC (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Every request of the API pays
 * for this: a call that is answered at once has no timer and makes no promises.
 */
export function createCallTaker({
  rpcs,
  log,
}: {
  rpcs: ReadonlyMap<string, FramedUnary>
  log: Logger
}): RequestTaker<Call> {
  const refusalOf = (error: unknown): Refusal => {
    const refusal = refusalFrom(error)
    if (!refusal) log.error({ err: error }, 'failed')
    return refusal ?? internalRefusal()
  }
  const answerLater = (stream: CallStream, answered: Promise<Buffer>): Promise<void> =>
    answered.then(
      (frame) => send(stream, frame),
      (error: unknown) => fail(stream, refusalOf(error)),
    )

  return {
    begun(stream) {
      const { method, path, contentType, grpcTimeout } = stream.head
      const rpc = rpcs.get(path)
      const timeoutMs = timeoutOf(grpcTimeout)
      if (method !== 'POST') stream.answer(NOT_POST)
      else if (!isGrpc(contentType)) stream.answer(NOT_GRPC)
      else if (!rpc) fail(stream, noSuchRpc())
      else if (timeoutMs === undefined) fail(stream, noTimeout())
      else stream.state = new Call(rpc, Math.min(timeoutMs, MAX_CALL_MS))
    },
    content(stream, piece) {
      if (stream.isAnswered) return
      try {
        stream.state?.gathering.add(piece)
      } catch (error) {
        fail(stream, refusalOf(error))
      }
    },
    whole(stream) {
      const { state: call } = stream
      if (!call || stream.isAnswered) return undefined
      try {
        const answered = call.rpc(call.gathering.message(), call.gone.signal)
        if (answered instanceof Promise) return answerLater(stream, answered)
        send(stream, answered)
      } catch (error) {
        fail(stream, refusalOf(error))
      }
      return undefined
    },
    waits(stream) {
      const { state: call } = stream
      if (call) call.timer = setTimeout(expire, call.timeoutMs, stream)
    },
    closed({ state: call, isAnswered }) {
      if (!call) return
      if (call.timer) clearTimeout(call.timer)
      if (!isAnswered) call.gone.abort()
    },
  }
}

/** Head, message, trailers: Envoy takes no answer without any of them. */
const send = (stream: CallStream, content: Buffer) =>
  stream.answer({ head: ANSWER, content, trailers: TRAILERS })

/** Answers with a status and no message; what the caller still has to say, nobody hears. */
function fail(stream: CallStream, refusal: Refusal): void {
  const { grpc } = rowOf(refusal, refusals)
  const head = headerBlock({
    ':status': '200',
    'content-type': 'application/grpc',
    'grpc-status': String(status[grpc]),
    'grpc-message': encodeURI(refusal.message).slice(0, MAX_STATUS_MESSAGE),
  })
  stream.answer({ head })
}

function expire(stream: CallStream): void {
  if (stream.isAnswered) {
    stream.reset(errorCode.CANCEL)
    return
  }
  stream.state?.gone.abort()
  fail(stream, tooLate())
}

const isGrpc = (type: string | undefined) =>
  type === 'application/grpc' || (type !== undefined && /^application\/grpc(\+proto)?(;|$)/.test(type))

const noSuchRpc = () => new Refusal('NO_SUCH_RPC', 'There is no such rpc here')
const noTimeout = () => new Refusal('UNREADABLE_REQUEST', 'grpc-timeout is no time')
const tooLate = () => new Refusal('TIMEOUT', 'The time for this call is over')
