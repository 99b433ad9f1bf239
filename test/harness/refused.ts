import { type Metadata, status } from '@grpc/grpc-js'
import { BadRequest, ErrorInfo, RetryInfo } from '@instatunnel/proto/google/rpc/error_details'
import { Status } from '@instatunnel/proto/google/rpc/status'

/** A refusal as both kinds of clients see it. */
export interface Refused {
  /** The canonical gRPC code, by name. */
  code: string
  message: string
  /** ErrorInfo's reason; empty where the answer has none. */
  reason: string
  /** ErrorInfo's metadata. */
  metadata: Record<string, string>
  /** BadRequest's fields. */
  fields?: { field: string; message: string }[]
  /** RetryInfo's delay. */
  retryAfterSeconds?: number
  /** The REST status; NaN where the service left it to the gateway. */
  http: number
  /** The REST body. */
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever was answered
  body: any
}

/** How a call was refused; fails where it was not. */
export async function refused(call: Promise<unknown>): Promise<Refused> {
  const error = await call.then(
    (answer) => Promise.reject(new Error(`not refused: ${JSON.stringify(answer)}`)),
    (error: unknown) => error,
  )
  if (!isServiceError(error)) throw error
  return refusedOf(error)
}

/** A failed call's status, read. */
export function refusedOf(failed: { code: number; details: string; metadata: Metadata }): Refused {
  const [bytes] = failed.metadata.get('grpc-status-details-bin')
  const details = bytes ? Status.decode(bytes as Buffer).details : []
  const find = (type: string) =>
    details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${type}`)?.value
  const [info, badRequest, retry] = [find('ErrorInfo'), find('BadRequest'), find('RetryInfo')]
  const { reason, metadata } = info ? ErrorInfo.decode(info) : { reason: '', metadata: {} }
  const [body = 'null'] = failed.metadata.get('x-instatunnel-error-body')
  return {
    code: status[failed.code] as string,
    message: failed.details,
    reason,
    metadata,
    ...(badRequest ? { fields: fieldsOf(badRequest) } : {}),
    ...(retry ? { retryAfterSeconds: RetryInfo.decode(retry).retryDelay?.seconds ?? 0 } : {}),
    http: Number(failed.metadata.get('x-instatunnel-error-status')[0]),
    body: JSON.parse(String(body)),
  }
}

const fieldsOf = (badRequest: Uint8Array) =>
  BadRequest.decode(badRequest).fieldViolations.map(({ field, description }) => ({
    field,
    message: description,
  }))

const isServiceError = (error: unknown): error is { code: number; details: string; metadata: Metadata } =>
  typeof (error as { code?: unknown } | undefined)?.code === 'number' &&
  (error as { metadata?: unknown }).metadata !== undefined
