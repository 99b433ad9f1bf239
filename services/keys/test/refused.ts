import { type Metadata, status } from '@grpc/grpc-js'
import { ErrorInfo } from '@instatunnel/proto/google/rpc/error_details'
import { Status } from '@instatunnel/proto/google/rpc/status'

/** A refusal as both kinds of clients see it. */
export interface Refused {
  /** The canonical gRPC code, by name. */
  code: string
  /** ErrorInfo's reason. */
  reason: string
  message: string
  http: number
  /** The REST body. */
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever was answered
  body: any
}

/** How a call was refused; fails where it was not. */
export async function refused(call: Promise<unknown>): Promise<Refused> {
  const error = (await call.then(
    (answer) => Promise.reject(new Error(`not refused: ${JSON.stringify(answer)}`)),
    (error: unknown) => error,
  )) as { code?: number; details: string; metadata: Metadata }
  if (typeof error.code !== 'number') throw error
  const [details] = error.metadata.get('grpc-status-details-bin')
  const info =
    details && Status.decode(details as Buffer).details.find(({ typeUrl }) => typeUrl.endsWith('ErrorInfo'))
  const [body = 'null'] = error.metadata.get('x-instatunnel-error-body')
  return {
    code: status[error.code] as string,
    reason: info ? ErrorInfo.decode(info.value).reason : '',
    message: error.details,
    http: Number(error.metadata.get('x-instatunnel-error-status')[0]),
    body: JSON.parse(String(body)),
  }
}
