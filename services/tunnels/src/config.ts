import {
  commonSettings,
  type Environment,
  listenAddress,
  readSettings,
  secretBytes,
  wholeNumber,
} from '@instatunnel/kit/config'
import { plansSetting } from '@instatunnel/kit/plans'
import { peppersSetting } from '@instatunnel/kit/secret'
import { z } from 'zod'

const settings = z.object({
  ...commonSettings,
  /** Where to serve gRPC, host:port. */
  LISTEN: listenAddress.default('127.0.0.1:50053'),
  /** Where auth serves gRPC: a gRPC target. */
  AUTH_ADDRESS: z.string().default('127.0.0.1:50051'),
  /** What tokens are hashed under: a JSON object, id → 32 bytes in base64; the last hashes new ones. */
  TOKEN_PEPPERS: peppersSetting,
  /** What tokens are sealed with: 32 bytes in base64. */
  TOKEN_SECRET: secretBytes,
  /** The public domain that subdomains lie under. */
  DOMAIN: z
    .string()
    .max(189, 'must leave room for subdomains: 189 characters at most')
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'must be a host name in lower case, without a port')
    .default('localhost'),
  /** Where the gateway is reached from outside; tunnels share its scheme and port. */
  PUBLIC_URL: z
    .string()
    .regex(/^https?:\/\/[^/?#]+\/?$/, 'must be http:// or https://, a host and at most a port')
    .transform((text, context) => {
      if (URL.canParse(text)) return new URL(text)
      context.addIssue({ code: 'custom', message: 'must be a URL' })
      return z.NEVER
    })
    .prefault('http://localhost:8080'),
  /** How often one tunnel's token may be regenerated in an hour. */
  LIMIT_REGENERATE_PER_HOUR: wholeNumber(1, 1_000_000).default(5),
  /** What plans allow, where it differs from free 3, pro 25 and business 250 tunnels: {"free":{"tunnels":5}}. */
  PLANS: plansSetting,
})

/** The service's settings. */
export type Config = Readonly<z.infer<typeof settings>>

/** Reads the settings, or stops with the names of those at fault. */
export const readConfig = (environment: Environment): Config => readSettings(environment, settings)
