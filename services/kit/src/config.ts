import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'

/** How many connections a replica's pool may have, from and to, and has by default. The publisher of events holds one. */
export const POOL_BOUNDS = [3, 100] as const
export const POOL_SIZE = 10

/** The environment, as a service's config.ts receives it. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads settings by a schema whose keys are the variables' names. An empty variable counts as not set. Stops with
 * the names of all variables at fault; values are never shown, for they may be secrets.
 */
export function readSettings<S extends z.ZodObject>(
  environment: Environment,
  schema: S,
): Readonly<z.infer<S>> {
  const given = Object.fromEntries(
    Object.keys(schema.shape)
      .filter((name) => environment[name] !== undefined && environment[name] !== '')
      .map((name) => [name, environment[name]]),
  )
  const parsed = schema.safeParse(given)
  if (parsed.success) return Object.freeze(parsed.data)
  const faults = parsed.error.issues.map(({ path, message }) => {
    const name = String(path[0])
    return given[name] === undefined ? `${name} is not set` : `${name}: ${message}`
  })
  throw new Error(`Settings: ${faults.join('; ')}`)
}

/** A whole number within bounds. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`)

/** Where to listen: host:port; port 0 is any free one. */
export const listenAddress = z.string().regex(/^(\[[0-9a-f:]+\]|[^:[\]]+):\d{1,5}$/i, 'must be host:port')

/** 32 random bytes in base64. */
export const secretBytes = z
  .string()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length === 32, 'must be 32 bytes in base64')

const publicKey = z.string().refine((pem) => isPublicPem(pem) && isEd25519(pem, createPublicKey))

// createPublicKey would take a private key as well, and make the public one of it.
const isPublicPem = (pem: string) => pem.includes('BEGIN PUBLIC KEY')

function isEd25519(pem: string, read: (pem: string) => KeyObject): boolean {
  try {
    return read(pem).asymmetricKeyType === 'ed25519'
  } catch {
    return false
  }
}

/** The settings that every service has. */
export const neighbourSettings = {
  /** NATS, as a URL. */
  NATS_URL: z.string().default('nats://127.0.0.1:4222'),
  /** The seed of the service's NATS user (NKEY); left out, NATS asks for none. */
  NATS_SEED: z.string().optional(),
  /** The service's own Ed25519 private key, PKCS8 in PEM: what it signs its calls to other services with. */
  SERVICE_KEY: z
    .string()
    .refine((pem) => isEd25519(pem, createPrivateKey), 'must be an Ed25519 private key, PKCS8 in PEM'),
  /** The services' public keys: a JSON object, name → SubjectPublicKeyInfo in PEM. */
  SERVICE_PUBLIC_KEYS: z.string().transform((text, context) => {
    try {
      return z.record(z.string(), publicKey).parse(JSON.parse(text))
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JSON object of Ed25519 public keys in PEM' })
      return z.NEVER
    }
  }),
  /** With the next two: all gRPC is mutual TLS. The certificate's file, PEM. */
  TLS_CERT_FILE: z.string().optional(),
  /** The certificate's private key file, PEM. */
  TLS_KEY_FILE: z.string().optional(),
  /** The file of the CA that signs every service's certificate, PEM. */
  TLS_CA_FILE: z.string().optional(),
  /** trace, debug, info, warn, error or fatal. */
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
}

/** The settings of every service with a database. */
export const commonSettings = {
  /** PostgreSQL, as a URL. The service keeps to a schema of its own name. */
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
  /** The most connections that a replica keeps to PostgreSQL, beside the one that it hears of new events by. */
  POSTGRES_POOL_SIZE: wholeNumber(...POOL_BOUNDS).default(POOL_SIZE),
  ...neighbourSettings,
}
