import type { Rate } from '@instatunnel/kit/rate'
import { framed, PREFIX_BYTES, writePrefix } from './grpc-frame.ts'
import { ADD_IF_ABSENT, type Headers, headerOptions, OVERWRITE, ValueWriter } from './header-option.ts'
import { begin, field, lengthOfField, numberField, put } from './message-writer.ts'

/** A "no" as the gateway's client gets it. */
export interface Denial {
  /** The google.rpc.Code, for the gateway's own numbers. */
  readonly code: number
  readonly message: string
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** What else there is to say of a call that is admitted. */
export interface Told {
  readonly rpc?: string | undefined
  /** Added to the call. */
  readonly passed?: Headers | undefined
  readonly rate?: Rate | undefined
  readonly headers?: Headers | undefined
}

/** The header that names the rpc: the gateway lets the call reach no other one. */
export const RPC_HEADER = 'x-instatunnel-rpc'

/**
 * Prepares the answer to calls that are admitted with this header, which replaces what the client may have sent under
 * its name: an envoy.service.auth.v3.CheckResponse, framed for gRPC. The credential is taken from the call, and the rpc is
 * named that was decided about, if it was one. The state of the limit, and whatever else there is to say, is added to the
 * call's answer where its service says nothing of the same.
 */
export function admittedWith(name: string): (value: string, told?: Told) => Buffer {
  const header = new ValueWriter(2, name, OVERWRITE)
  return (value, { rpc, passed, rate, headers: more } = {}) => {
    const decided = rpc === undefined ? NOTHING : decidedAbout(rpc)
    const added = passed === undefined ? NOTHING : headerOptions(2, passed, OVERWRITE)
    const bytes = Buffer.byteLength(value)
    const limit = String(rate?.limit)
    const remaining = String(rate?.remaining)
    const reset = String(rate?.resetSeconds)
    const told = more === undefined ? NOTHING : headerOptions(6, more, ADD_IF_ABSENT)
    let ok = header.length(bytes) + decided.length + added.length + REMOVED.length + told.length
    if (rate)
      ok += LIMIT.length(limit.length) + REMAINING.length(remaining.length) + RESET.length(reset.length)
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + STATUS_OK.length + lengthOfField(ok))
    writePrefix(frame, frame.length - PREFIX_BYTES)
    let at = put(frame, PREFIX_BYTES, STATUS_OK)
    at = begin(frame, at, 3, ok)
    at = header.put(frame, at, value, bytes)
    at = put(frame, at, decided)
    at = put(frame, at, added)
    at = put(frame, at, REMOVED)
    if (rate) {
      at = LIMIT.put(frame, at, limit, limit.length)
      at = REMAINING.put(frame, at, remaining, remaining.length)
      at = RESET.put(frame, at, reset, reset.length)
    }
    put(frame, at, told)
    return frame
  }
}

/** The answer to a call that is not admitted, framed for gRPC. */
export function denied({ code, message, status, headers, body }: Denial): Buffer {
  const answer = [field(1, numberField(1, status)), headerOptions(2, headers, OVERWRITE), field(3, body)]
  return framed(Buffer.concat([field(1, numberField(1, code), field(2, message)), field(2, ...answer)]))
}

/** OkHttpResponse.headers, with the rpc: one for each that there is. */
const decidedAbout = (rpc: string): Buffer => {
  let option = rpcs.get(rpc)
  if (!option) {
    option = headerOptions(2, { [RPC_HEADER]: rpc }, OVERWRITE)
    rpcs.set(rpc, option)
  }
  return option
}
const rpcs = new Map<string, Buffer>()

const NOTHING = Buffer.alloc(0)
/** CheckResponse.status of a call that is admitted: 0, which protobuf does not write. */
const STATUS_OK = field(1)
/** OkHttpResponse.headers_to_remove. */
const REMOVED = Buffer.concat([field(5, 'authorization'), field(5, 'cookie')])
/** OkHttpResponse.response_headers_to_add, the names as kit/rate says them. */
const LIMIT = new ValueWriter(6, 'ratelimit-limit', ADD_IF_ABSENT)
const REMAINING = new ValueWriter(6, 'ratelimit-remaining', ADD_IF_ABSENT)
const RESET = new ValueWriter(6, 'ratelimit-reset', ADD_IF_ABSENT)
