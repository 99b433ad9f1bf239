import type { ChannelCredentials } from '@grpc/grpc-js'
import { createServiceClient, type ServiceClient } from './client.ts'
import { connectNats, type Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import {
  createServiceSigner,
  createServiceVerifier,
  type SignServiceToken,
  type VerifyServiceToken,
} from './service-identity.ts'
import { createTransport, type Transport } from './tls.ts'

/** The settings that the way to the neighbours is made of: those of every service (kit/config, commonSettings). */
export interface NeighbourConfig {
  readonly NATS_URL: string
  readonly NATS_SEED?: string | undefined
  readonly SERVICE_KEY: string
  readonly SERVICE_PUBLIC_KEYS: Readonly<Record<string, string>>
  readonly TLS_CERT_FILE?: string | undefined
  readonly TLS_KEY_FILE?: string | undefined
  readonly TLS_CA_FILE?: string | undefined
}

/** How a service reaches its neighbours, and knows those who call it. */
export interface Neighbours {
  readonly nats: Nats
  readonly transport: Transport
  readonly sign: SignServiceToken
  readonly verifyService: VerifyServiceToken
  /** A neighbour's rpcs as async functions, called with this service's identity. */
  client<Definition extends Record<string, object>>(
    definition: Definition,
    target: string,
    audience: string,
  ): ServiceClient<Definition>
}

/** Opens the ways to the neighbours, NATS among them, which may come later; what it opens is closed with `closing`. */
export function openNeighbours(options: {
  service: string
  config: NeighbourConfig
  log: Logger
  closing: AsyncDisposableStack
  now: () => Date
}): Neighbours {
  const { service, config, log, closing, now } = options
  const transport = createTransport({ ...config, services: Object.keys(config.SERVICE_PUBLIC_KEYS) })
  const sign = createServiceSigner({ service, privateKey: config.SERVICE_KEY, now })
  const nats = closing.adopt(
    connectNats({
      url: config.NATS_URL,
      seed: config.NATS_SEED,
      name: service,
      log,
      makes: service !== 'relay',
    }),
    (connection) => connection.close(),
  )
  return {
    nats,
    transport,
    sign,
    verifyService: createServiceVerifier({ service, publicKeys: config.SERVICE_PUBLIC_KEYS, now }),
    client: (definition, target, audience) =>
      closing.adopt(
        createServiceClient({
          definition,
          target,
          credentials: transport.client as ChannelCredentials,
          audience,
          sign,
        }),
        (client) => client.close(),
      ),
  }
}
