import {
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { Caller, Guard } from './guard.ts'
import type { Identity } from './identity.ts'
import type { Logger } from './log.ts'
import { peerAddressOf } from './peer-address.ts'
import { callerSignal } from './pool-queue.ts'
import { clocksDiffer, Refusal, type Refusals } from './refusal.ts'
import type { Rule, Rules } from './rules.ts'
import { internalRefusal, refusalFrom, statusOf } from './status.ts'

/** What a handler knows of the call beside the request. */
export interface Call {
  readonly caller: Caller
  readonly metadata: Metadata
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal
  /** Adds a header to the answer. */
  setHeader(name: string, value: string): void
}

/** A handler: request in, response or Refusal out. */
export type Unary<Request, Response> = (request: Request, call: Call) => Promise<Response>

/** The handlers of a generated service, all of them. */
export type Handlers<Server> = {
  [Name in keyof Server as string extends Name ? never : Name]: Server[Name] extends handleUnaryCall<
    infer Request,
    infer Response
  >
    ? Unary<Request, Response>
    : never
}

/** The user behind a call of a rule with a scope. */
export function identityOf(call: Call): Identity {
  if (call.caller.kind !== 'user') throw new Error('this rpc has no user: its rule is public or internal')
  return call.caller.identity
}

/** What every rpc of a service shares. */
export interface Edge {
  readonly guard: Guard
  readonly rules: Rules
  readonly refusals: Refusals
  readonly log: Logger
  /** False while this replica must not decide anything: its clock is wrong. */
  readonly isReady: () => boolean
  /** The services that the caller's certificate names; undefined in clear. */
  readonly certifiedOf: (call: ServerUnaryCall<unknown, unknown>) => readonly string[] | undefined
}

/** Turns handlers into what grpc-js serves: this file is where callbacks and stray errors end. */
export function implement(
  definition: ServiceDefinition,
  handlers: Readonly<Record<string, Unary<never, unknown>>>,
  edge: Edge,
): UntypedServiceImplementation {
  const implementation: UntypedServiceImplementation = {}
  for (const [name, method] of Object.entries(definition)) {
    const rule = edge.rules.get(method.path)
    const handler = handlers[name] as Unary<unknown, unknown> | undefined
    if (!rule || !handler) throw new Error(`${method.path} has no ${rule ? 'handler' : 'access rule'}`)
    implementation[name] = serveUnary(method, rule, handler, edge)
  }
  return implementation
}

function serveUnary(
  method: Method,
  rule: Rule,
  handler: Unary<unknown, unknown>,
  edge: Edge,
): handleUnaryCall<Buffer, unknown> {
  return (call, answer) => {
    const gone = new AbortController()
    let isAnswered = false
    // grpc-js says so at the end of every call, and to abort makes an error with its stack.
    call.on('cancelled', () => isAnswered || gone.abort())
    const headers = new Metadata()
    let hasHeaders = false
    const setHeader = (name: string, value: string) => {
      headers.add(name, value)
      hasHeaders = true
    }
    const run = async () => {
      if (!edge.isReady()) throw clocksDiffer()
      const { metadata } = call
      const { signal } = gone
      const certified = edge.certifiedOf(call)
      const peerAddress = () => peerAddressOf(call.getPeer())
      const caller = await edge.guard({ metadata, method: method.path, rule, certified, peerAddress, signal })
      return handler(read(method, call.request), { caller, metadata, signal, setHeader })
    }
    callerSignal.run(gone.signal, run).then(
      (response) => {
        isAnswered = true
        if (hasHeaders) call.sendMetadata(headers)
        answer(null, response)
      },
      (error: unknown) => {
        isAnswered = true
        answer(failureOf(error, method.path, gone.signal, edge))
      },
    )
  }
}

function failureOf(error: unknown, method: string, signal: AbortSignal, { log, refusals }: Edge) {
  if (signal.aborted) return { code: status.CANCELLED, details: 'The caller went away' }
  const refusal = refusalFrom(error)
  if (refusal?.reason === 'UNAVAILABLE')
    log.warn({ method, cause: String((error as Error).message) }, 'neighbour away')
  if (!refusal) log.error({ method, err: error }, 'failed')
  return statusOf(refusal ?? internalRefusal(), refusals)
}

type Method = MethodDefinition<unknown, unknown>

// A map entry with this key: the generated reader would drop it, or take it for a prototype. Its tag and its length may
// be written in more bytes than they need (a varint may end in zeros).
const PROTO_KEY = /[\n\0](\t|\x89\x80*\0)__proto__/
const namesProto = (bytes: Buffer) => bytes.includes('__proto__') && PROTO_KEY.test(bytes.toString('latin1'))

/** Reads a request; refuses, rather than fails on, bytes that are no message of ours: grpc-js would answer INTERNAL. */
function read({ requestDeserialize }: Method, bytes: Buffer): unknown {
  if (namesProto(bytes)) throw unreadable('"__proto__" is not accepted as a name')
  try {
    return requestDeserialize(bytes)
  } catch {
    throw unreadable('The request is not a message of this rpc')
  }
}

const unreadable = (message: string) => new Refusal('UNREADABLE_REQUEST', message)

/**
 * The definition with requests left as they came, which is what `implement` takes: they are read once their caller is
 * admitted. To read 2 MiB of a Struct blocks the process for 0.1 to 0.3 s, which no stranger may make it do.
 */
export function withUnreadRequests(definition: ServiceDefinition): ServiceDefinition {
  const unread = Object.entries(definition).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer) => bytes
    return [name, { ...method, requestDeserialize }]
  })
  return Object.fromEntries(unread)
}
