import {
  type ChannelCredentials,
  Client,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import { SERVICE_METADATA } from './guard.ts'
import type { SignServiceToken } from './service-identity.ts'
import { reasonIn } from './status.ts'

const DEADLINE_MS = 5000
// A replica whose clock is wrong does nothing, and says so: the next one is asked, three in all.
const TRIES = 3

/** A neighbour's rpcs as async functions. */
export type ServiceClient<Definition> = {
  [Name in keyof Definition]: Definition[Name] extends MethodDefinition<infer Request, infer Response>
    ? (request: Request, options?: { signal?: AbortSignal | undefined }) => Promise<Response>
    : never
} & { close(): void }

/**
 * Calls a neighbour's rpcs with this service's own identity: 5 s a call at most, spread over all addresses of the
 * target, back within a second when the neighbour is. Rejects with grpc-js's ServiceError.
 */
export function createServiceClient<Definition extends Record<string, object>>(options: {
  definition: Definition
  /** A gRPC target, "127.0.0.1:50052" or "ipv4:127.0.0.1:1,127.0.0.1:2". */
  target: string
  credentials: ChannelCredentials
  /** The neighbour's name: what the token is addressed to. */
  audience: string
  sign: SignServiceToken
}): ServiceClient<Definition> {
  const channel = new Client(options.target, options.credentials, {
    'grpc.enable_channelz': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  })
  const methods = Object.entries(options.definition).map(([name, definition]) => {
    const method = definition as MethodDefinition<unknown, unknown>
    const call = async (request: unknown, { signal }: { signal?: AbortSignal | undefined } = {}) => {
      for (let tries = 1; ; tries++) {
        const metadata = new Metadata()
        metadata.set(SERVICE_METADATA, await options.sign(options.audience))
        try {
          return await callUnary(channel, method, request, metadata, signal)
        } catch (error) {
          if (tries >= TRIES || !isByWrongClock(error)) throw error
        }
      }
    }
    return [name, call]
  })
  return { ...Object.fromEntries(methods), close: () => channel.close() } as ServiceClient<Definition>
}

function isByWrongClock(error: unknown): boolean {
  const { metadata } = error as Partial<ServiceError>
  return metadata !== undefined && reasonIn(metadata) === 'CLOCKS_DIFFER'
}

function callUnary(
  channel: Client,
  method: MethodDefinition<unknown, unknown>,
  request: unknown,
  metadata: Metadata,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = method
    const deadline = new Date(Date.now() + DEADLINE_MS)
    const call = channel.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => {
        signal?.removeEventListener('abort', cancel)
        if (error) reject(error)
        else resolve(response)
      },
    )
    const cancel = () => call.cancel()
    if (signal?.aborted) cancel()
    else signal?.addEventListener('abort', cancel, { once: true })
  })
}
