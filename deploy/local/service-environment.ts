import type { Config, PassedOn } from './config.ts'
import type { Secrets } from './secrets.ts'
import type { ServiceName, StoringService } from './service-names.ts'

/** What the services' settings are made of. */
export interface ServiceSurroundings {
  config: Config
  secrets: Secrets
  databaseUrls: Record<StoringService, string>
  natsUrl: string
  /** None where the NATS is one of the user's own. */
  natsSeeds: Partial<Record<ServiceName, string>>
  /** Where every replica of each service answers, as "host:port". */
  addresses: Record<ServiceName, string[]>
  publicUrl: string
}

/** Everything that one service is told: its whole environment but for where to listen. */
export function serviceEnvironment(name: ServiceName, around: ServiceSurroundings): Record<string, string> {
  const { config, secrets } = around
  const passedOn = (...names: PassedOn[]) =>
    Object.fromEntries(names.map((key) => [key, config.passedOn[key]]))
  const poolSize = String(config.poolSize)
  const own: Record<ServiceName, Record<string, string | undefined>> = {
    auth: {
      AUTH_SECRET: secrets.authSecret,
      DATABASE_URL: around.databaseUrls.auth,
      POSTGRES_POOL_SIZE: poolSize,
      ...passedOn('LIMIT_AUTH_PER_MINUTE', 'LIMIT_READ_PER_MINUTE', 'LIMIT_WRITE_PER_MINUTE'),
      ...passedOn('LIMIT_CONNECT_PER_MINUTE'),
      ...passedOn('INSTATUNNEL_ADMIN_EMAIL', 'INSTATUNNEL_ADMIN_PASSWORD', 'PLANS', 'REGISTRATION'),
    },
    keys: {
      DATABASE_URL: around.databaseUrls.keys,
      POSTGRES_POOL_SIZE: poolSize,
      KEY_PEPPERS: secrets.keyPeppers,
    },
    tunnels: {
      DATABASE_URL: around.databaseUrls.tunnels,
      POSTGRES_POOL_SIZE: poolSize,
      TOKEN_PEPPERS: secrets.tokenPeppers,
      TOKEN_SECRET: secrets.tokenSecret,
      ...passedOn('LIMIT_REGENERATE_PER_HOUR', 'PLANS'),
    },
    relay: { PEER_LISTEN: '127.0.0.1:0', ...passedOn('RESPONSE_TIMEOUT_SECONDS') },
  }
  const settings: Record<string, string | undefined> = {
    TZ: 'UTC',
    NATS_URL: around.natsUrl,
    NATS_SEED: around.natsSeeds[name],
    SERVICE_KEY: secrets.serviceKeys[name],
    SERVICE_PUBLIC_KEYS: JSON.stringify(secrets.servicePublicKeys),
    AUTH_ADDRESS: grpcTarget(around.addresses.auth),
    KEYS_ADDRESS: grpcTarget(around.addresses.keys),
    TUNNELS_ADDRESS: grpcTarget(around.addresses.tunnels),
    PUBLIC_URL: around.publicUrl,
    DOMAIN: config.domain,
    ...passedOn('LOG_LEVEL'),
    ...own[name],
  }
  return Object.fromEntries(
    Object.entries(settings).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

function grpcTarget(addresses: string[]): string {
  return addresses.length === 1 ? (addresses[0] as string) : `ipv4:${addresses.join(',')}`
}
