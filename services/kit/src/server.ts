import {
  logVerbosity,
  Server,
  type ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import { createReflection } from './reflection.ts'
import { withUnreadRequests } from './unary.ts'

// A call's request is at most 1 MiB of JSON at the gateway; protobuf is smaller.
const MAX_REQUEST_BYTES = 2 * 1024 * 1024
const DRAIN_MS = 10_000

// grpc-js would write odd header values of clients to standard error; failures reach the callers anyway.
setLogVerbosity(logVerbosity.NONE)

/** One gRPC service and what serves it, made by `implement`: it is handed requests as they came. */
export interface Served {
  readonly definition: ServiceDefinition
  readonly implementation: UntypedServiceImplementation
}

/** A gRPC server that is being served. */
export interface Serving {
  /** The port, also where any free one was asked for. */
  readonly port: number
  /** Says NOT_SERVING, lets calls in flight finish, 10 s at most, and closes. */
  close(): Promise<void>
}

/** A gRPC server that answers the health check, beside "" (the whole, which is serving until it is told otherwise) also about parts by their names. */
export interface HealthServing extends Serving {
  setHealth(part: string, isHealthy: boolean): void
}

/** Serves services with health (grpc.health.v1) and reflection on one address. */
export async function serve(options: {
  listen: string
  credentials: ServerCredentials
  services: readonly Served[]
  descriptors: string
}): Promise<HealthServing> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.enable_channelz': 0,
    'grpc.keepalive_time_ms': 30_000,
  })
  for (const { definition, implementation } of options.services) {
    server.addService(withUnreadRequests(definition), implementation)
  }
  const health = new HealthImplementation({ '': 'SERVING' })
  health.addToServer(server)
  const served = options.services.map(({ definition }) => definition)
  createReflection(options.descriptors, served).addToServer(server)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.listen, options.credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  let isClosing = false
  const setHealth = (part: string, isHealthy: boolean) => {
    if (!isClosing) health.setStatus(part, isHealthy ? 'SERVING' : 'NOT_SERVING')
  }
  const close = () =>
    new Promise<void>((resolve) => {
      isClosing = true
      health.setStatus('', 'NOT_SERVING')
      const timer = setTimeout(() => server.forceShutdown(), DRAIN_MS)
      server.tryShutdown(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  return { port, setHealth, close }
}
