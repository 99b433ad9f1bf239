import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  type status,
} from '@grpc/grpc-js'
import { AdminServiceService } from '@instatunnel/proto/auth/v1/admin_service'
import { AuthServiceService } from '@instatunnel/proto/auth/v1/auth_service'
import { AdminKeyServiceService } from '@instatunnel/proto/keys/v1/admin_key_service'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { HealthImplementation } from 'grpc-health-check'

/** What a backend heard. */
export interface Heard {
  /** "/instatunnel.keys.v1.ApiKeyService/CreateKey" */
  rpc: string
  request: Record<string, unknown>
  metadata: Record<string, unknown>
}

/** What a backend answers with: a message, a failure, or nothing at all. */
export type Reply = (heard: Heard) => object | ServiceError | Promise<object | ServiceError>

/** A gRPC server with every public rpc, which does nothing but record the call and reply as it is told. */
export interface Backend {
  address: string
  heard: Heard[]
  /** Replies so from now on; an empty message unless something is set. */
  reply: Reply
  serving(yes: boolean): void
  stop(): Promise<void>
}

const services = [
  AuthServiceService,
  AdminServiceService,
  AdminKeyServiceService,
  ApiKeyServiceService,
  TunnelServiceService,
]

/** Starts one on any free port, or on the port of one that was stopped; in clear unless it is said otherwise. */
export async function startBackend(
  port = 0,
  more: (server: Server) => void = () => {},
  credentials = ServerCredentials.createInsecure(),
): Promise<Backend> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  const health = new HealthImplementation({ '': 'SERVING' })
  health.addToServer(server)
  more(server)

  const backend: Backend = {
    address: '',
    heard: [],
    reply: () => ({}),
    serving: (yes) => health.setStatus('', yes ? 'SERVING' : 'NOT_SERVING'),
    stop: async () => server.forceShutdown(),
  }
  const answer = async (rpc: string, call: ServerUnaryCall<object, object>) => {
    const heard = {
      rpc,
      request: call.request as Record<string, unknown>,
      metadata: call.metadata.getMap(),
    }
    backend.heard.push(heard)
    const reply = await backend.reply(heard)
    if (reply instanceof Error) throw reply
    return reply
  }
  for (const service of services as unknown as ServiceDefinition[]) {
    const handlers = Object.fromEntries(
      Object.entries(service).map(([name, method]: [string, MethodDefinition<object, object>]) => [
        name,
        (call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) => {
          const empty = method.responseDeserialize(Buffer.alloc(0))
          answer(method.path, call).then((reply) => done(null, { ...empty, ...reply }), done)
        },
      ]),
    )
    server.addService(service, handlers)
  }
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, found) =>
      error ? reject(error) : resolve(found),
    ),
  )
  backend.address = `127.0.0.1:${bound}`
  return backend
}

/** A failure as the kit's services answer it: the finished JSON and its status travel in two trailers. */
export function failure({
  code,
  details = 'details for gRPC clients',
  http,
  body,
  headers = {},
  statusDetails = Buffer.from([8, code]),
}: {
  code: status
  details?: string
  http?: number
  body?: string
  headers?: Record<string, string>
  /** A google.rpc.Status. */
  statusDetails?: Buffer
}): ServiceError {
  const metadata = new Metadata()
  if (http !== undefined) metadata.set('x-instatunnel-error-status', String(http))
  if (body !== undefined) metadata.set('x-instatunnel-error-body', body)
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  metadata.set('grpc-status-details-bin', statusDetails)
  return Object.assign(new Error(details), { code, details, metadata })
}
