import { status as grpcStatus, Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js'
import type { Any } from '@instatunnel/proto/google/protobuf/any'
import { BadRequest, ErrorInfo, RetryInfo } from '@instatunnel/proto/google/rpc/error_details'
import { Status } from '@instatunnel/proto/google/rpc/status'
import { type ErrorName, type ErrorRow, errors, type GrpcCode } from './errors.ts'
import { rateHeaders } from './rate.ts'
import { commonRefusals, Refusal, type Refusals } from './refusal.ts'

const DOMAIN = 'instatunnel'

/** What a refusal becomes for a REST client. */
export interface RestError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** JSON in ASCII, so that it may travel in a header. */
  readonly body: string
}

/** Looks a refusal's reason up; an unknown reason is a programmer's error and answers as internal. */
export function rowOf(refusal: Refusal, refusals: Refusals): { error: ErrorName; grpc: GrpcCode } {
  const found = refusals[refusal.reason] ?? (commonRefusals as Refusals)[refusal.reason] ?? 'internal'
  if (typeof found === 'object') return found
  return { error: found, grpc: (errors[found] as ErrorRow).grpc ?? 'INTERNAL' }
}

/** The one error shape of REST. */
export function restErrorOf(refusal: Refusal, error: ErrorName): RestError {
  const row = errors[error]
  const { fields, requiredScope, retryAfterSeconds, rate } = refusal.details
  const headers: Record<string, string> = rate === undefined ? {} : { ...rateHeaders(rate) }
  if (row.http === 401) headers['www-authenticate'] = 'Bearer realm="instatunnel"'
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds)
  const body = {
    error,
    message: refusal.message,
    code: row.code,
    ...(requiredScope === undefined ? {} : { required_scope: requiredScope }),
    ...(retryAfterSeconds === undefined ? {} : { retry_after: retryAfterSeconds }),
    ...(fields === undefined ? {} : { fields }),
  }
  return { status: row.http, headers, body: asciiJson(body) }
}

/** The gRPC status of a refusal: google.rpc details for gRPC clients, the finished REST answer for the gateway. */
export function statusOf(refusal: Refusal, refusals: Refusals): StatusObject {
  const { error, grpc } = rowOf(refusal, refusals)
  const code = grpcStatus[grpc]
  const rest = restErrorOf(refusal, error)
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(rest.headers)) metadata.set(name, value)
  metadata.set('x-instatunnel-error-status', String(rest.status))
  metadata.set('x-instatunnel-error-body', rest.body)
  metadata.set('grpc-status-details-bin', detailsOf(refusal, code))
  // grpc-js writes the message with encodeURI, which throws on half a surrogate pair.
  return { code, details: refusal.message.toWellFormed(), metadata }
}

/**
 * Turns whatever a handler threw into a refusal: a refusal as it is, a neighbour that is away as UNAVAILABLE, and
 * undefined for anything else, which is ours to log and to answer as internal.
 */
export function refusalFrom(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  const code = (error as { code?: unknown } | undefined)?.code
  if (code === grpcStatus.DEADLINE_EXCEEDED || code === STATEMENT_TIMEOUT) {
    return new Refusal('TIMEOUT', 'The service did not answer in time; try again.')
  }
  if (isNeighbourAway(error)) {
    return new Refusal('UNAVAILABLE', 'The service is not available right now; try again shortly.', {
      retryAfterSeconds: 1,
    })
  }
  return undefined
}

/** The reason of a neighbour's refusal, from its ErrorInfo; undefined where it gave none. */
export const reasonIn = (metadata: Metadata): string | undefined => errorInfoIn(metadata)?.reason

/** The time by a neighbour's clock, from its refusal CLOCKS_DIFFER of a service's token; milliseconds since the epoch. */
export function timeIn(metadata: Metadata): number | undefined {
  const time = Date.parse(errorInfoIn(metadata)?.metadata.time ?? '')
  return Number.isNaN(time) ? undefined : time
}

function errorInfoIn(metadata: Metadata): ErrorInfo | undefined {
  const [bytes] = metadata.get('grpc-status-details-bin')
  if (!Buffer.isBuffer(bytes)) return undefined
  const info = Status.decode(bytes).details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'))
  return info && ErrorInfo.decode(info.value)
}

/** What is said of an error that is ours: nothing that helps an attacker. */
export const internalRefusal = () => new Refusal('INTERNAL', 'Something went wrong on our side.')

// What Postgres says of a statement that took longer than statement_timeout (SQLSTATE query_canceled).
const STATEMENT_TIMEOUT = '57014'

/** The codes of errors that pass by themselves, or with a hand on what is under the service. */
const AWAY = new RegExp(
  `^(${[
    'ECONN(REFUSED|RESET)|EPIPE|ENOENT|ETIMEDOUT|E(HOST|NET)UNREACH|ENOTFOUND|EAI_AGAIN', // Node: networks, resolvers
    'CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT', // postgres.js: broken connections
    'POOL_EXHAUSTED|CALLER_GONE', // kit/pool-queue
    // SQLSTATE (https://www.postgresql.org/docs/18/errcodes-appendix.html)
    '08\\w{3}', // connections
    '25006|25P0[34]', // a standby that took over no writes yet; sessions that were idle or busy in a transaction for too long
    '53\\w{3}', // out of disk, memory or connections
    '55P03', // a lock that was not free within lock_timeout
    '57P0[1-5]', // Postgres going away, or coming
    '58000|58030', // its system and its disk
  ].join('|')})$`,
)

function isNeighbourAway(error: unknown): boolean {
  const { code } = (error ?? {}) as Partial<ServiceError> & { code?: unknown }
  return code === grpcStatus.UNAVAILABLE || (typeof code === 'string' && AWAY.test(code))
}

function detailsOf(refusal: Refusal, code: number): Buffer {
  const { fields, requiredScope, retryAfterSeconds, time } = refusal.details
  const metadata: Record<string, string> = {
    ...(requiredScope !== undefined && { required_scope: requiredScope }),
    ...(time && { time: time.toISOString() }),
  }
  const details = [
    any('google.rpc.ErrorInfo', ErrorInfo.encode({ reason: refusal.reason, domain: DOMAIN, metadata })),
  ]
  if (fields) {
    const fieldViolations = fields.map(({ field, message }) => ({
      field,
      description: message,
      reason: '',
      localizedMessage: undefined,
    }))
    details.push(any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations })))
  }
  if (retryAfterSeconds !== undefined) {
    const retryDelay = { seconds: retryAfterSeconds, nanos: 0 }
    details.push(any('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay })))
  }
  return Buffer.from(Status.encode({ code, message: refusal.message, details }).finish())
}

const any = (type: string, message: { finish(): Uint8Array }): Any => ({
  typeUrl: `type.googleapis.com/${type}`,
  value: Buffer.from(message.finish()),
})

// Header values carry ASCII only, so the rest is written as JSON escapes.
const asciiJson = (value: unknown) =>
  JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
