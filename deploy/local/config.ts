import { resolve } from 'node:path'
import { type Environment, POOL_BOUNDS, POOL_SIZE, readSettings, wholeNumber } from '@instatunnel/kit/config'
import { z } from 'zod'
import { repository } from './repository.ts'

const port = (standard: number) => wholeNumber(0, 65_535).default(standard)
const limit = wholeNumber(1, 1_000_000).transform(String).optional()
const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

const settings = z.object({
  /** The gateway's port for HTTP. A port of 0, here and below, is any free one. */
  INSTATUNNEL_PORT: port(8080),
  /** Where each service's first replica answers gRPC, on loopback; further replicas take free ports. */
  INSTATUNNEL_AUTH_PORT: port(50051),
  INSTATUNNEL_KEYS_PORT: port(50052),
  INSTATUNNEL_TUNNELS_PORT: port(50053),
  INSTATUNNEL_NATS_PORT: port(4222),
  INSTATUNNEL_POSTGRES_PORT: port(5433),
  /** The folder that holds everything kept: databases, streams, secrets. */
  INSTATUNNEL_DATA: z.string().default('.data'),
  /** The public domain: the API answers on it, tunnels on names below it. */
  INSTATUNNEL_DOMAIN: z
    .string()
    .default('localhost')
    .refine(
      (name) => name.split('.').every((part) => label.test(part)),
      'must be a domain name in lower case',
    ),
  /** How many of each service. */
  INSTATUNNEL_REPLICAS: wholeNumber(1, 16).default(1),
  /** A PostgreSQL of one's own, instead of the one that is started. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL')
    .optional(),
  /** The most connections to PostgreSQL of each replica of auth, keys and tunnels. */
  POSTGRES_POOL_SIZE: wholeNumber(...POOL_BOUNDS).default(POOL_SIZE),
  /** A NATS of one's own, instead of the one that is started. */
  NATS_URL: z
    .string()
    .regex(/^(nats|tls):\/\//, 'must be a nats:// URL')
    .optional(),
  /** Made, or promoted, as an admin on plan business at start. */
  INSTATUNNEL_ADMIN_EMAIL: z.string().optional(),
  INSTATUNNEL_ADMIN_PASSWORD: z.string().optional(),
  /** Who may register without an invitation: open, closed, or domain: and domains. */
  REGISTRATION: z
    .string()
    .regex(/^(open|closed|domain:.+)$/, 'must be open, closed or domain:example.com,…')
    .optional(),
  /** Passed on to the services, which know what each is when left out. */
  LIMIT_AUTH_PER_MINUTE: limit,
  LIMIT_READ_PER_MINUTE: limit,
  LIMIT_WRITE_PER_MINUTE: limit,
  LIMIT_CONNECT_PER_MINUTE: limit,
  LIMIT_REGENERATE_PER_HOUR: limit,
  RESPONSE_TIMEOUT_SECONDS: wholeNumber(0, 3600).transform(String).optional(),
  PLANS: z.string().optional(),
  LOG_LEVEL: z.string().optional(),
  /** How many proxies stand before the gateway and append to X-Forwarded-For. */
  TRUSTED_HOPS: wholeNumber(0, 10).default(0),
  /** How many connections one client address may have at the gateway; 0 for no limit. Not counted where TRUSTED_HOPS is set. */
  CONNECTIONS_PER_ADDRESS: wholeNumber(0, 50_000).default(1000),
})

/** Everything that `npm start` may be told. */
export interface Config {
  readonly gatewayPort: number
  readonly servicePorts: { readonly auth: number; readonly keys: number; readonly tunnels: number }
  readonly natsPort: number
  readonly postgresPort: number
  /** An absolute path. */
  readonly dataDir: string
  readonly domain: string
  readonly replicas: number
  readonly trustedHops: number
  readonly connectionsPerAddress: number
  readonly databaseUrl: string | undefined
  readonly poolSize: number
  readonly natsUrl: string | undefined
  /** What goes to the services as it was given, by the variables' own names. */
  readonly passedOn: Readonly<Record<PassedOn, string | undefined>>
}

/** The settings that only services understand. */
export type PassedOn =
  | `LIMIT_${'AUTH' | 'READ' | 'WRITE' | 'CONNECT'}_PER_MINUTE`
  | 'LIMIT_REGENERATE_PER_HOUR'
  | `INSTATUNNEL_ADMIN_${'EMAIL' | 'PASSWORD'}`
  | 'REGISTRATION'
  | 'RESPONSE_TIMEOUT_SECONDS'
  | 'PLANS'
  | 'LOG_LEVEL'

/** Reads the settings, once; stops with the names of the variables at fault, never with a value. */
export function readConfig(environment: Environment): Config {
  const read = readSettings(environment, settings)
  if (Boolean(read.INSTATUNNEL_ADMIN_EMAIL) !== Boolean(read.INSTATUNNEL_ADMIN_PASSWORD)) {
    throw new Error('Settings: INSTATUNNEL_ADMIN_EMAIL and INSTATUNNEL_ADMIN_PASSWORD go together')
  }
  return Object.freeze({
    gatewayPort: read.INSTATUNNEL_PORT,
    servicePorts: {
      auth: read.INSTATUNNEL_AUTH_PORT,
      keys: read.INSTATUNNEL_KEYS_PORT,
      tunnels: read.INSTATUNNEL_TUNNELS_PORT,
    },
    natsPort: read.INSTATUNNEL_NATS_PORT,
    postgresPort: read.INSTATUNNEL_POSTGRES_PORT,
    dataDir: resolve(repository, read.INSTATUNNEL_DATA),
    domain: read.INSTATUNNEL_DOMAIN,
    replicas: read.INSTATUNNEL_REPLICAS,
    trustedHops: read.TRUSTED_HOPS,
    connectionsPerAddress: read.CONNECTIONS_PER_ADDRESS,
    databaseUrl: read.DATABASE_URL,
    poolSize: read.POSTGRES_POOL_SIZE,
    natsUrl: read.NATS_URL,
    passedOn: {
      LIMIT_AUTH_PER_MINUTE: read.LIMIT_AUTH_PER_MINUTE,
      LIMIT_READ_PER_MINUTE: read.LIMIT_READ_PER_MINUTE,
      LIMIT_WRITE_PER_MINUTE: read.LIMIT_WRITE_PER_MINUTE,
      LIMIT_CONNECT_PER_MINUTE: read.LIMIT_CONNECT_PER_MINUTE,
      LIMIT_REGENERATE_PER_HOUR: read.LIMIT_REGENERATE_PER_HOUR,
      RESPONSE_TIMEOUT_SECONDS: read.RESPONSE_TIMEOUT_SECONDS,
      INSTATUNNEL_ADMIN_EMAIL: read.INSTATUNNEL_ADMIN_EMAIL,
      INSTATUNNEL_ADMIN_PASSWORD: read.INSTATUNNEL_ADMIN_PASSWORD,
      REGISTRATION: read.REGISTRATION,
      PLANS: read.PLANS,
      LOG_LEVEL: read.LOG_LEVEL,
    },
  })
}
