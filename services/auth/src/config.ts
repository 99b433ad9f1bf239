import {
  commonSettings,
  type Environment,
  listenAddress,
  readSettings,
  secretBytes,
  wholeNumber,
} from '@instatunnel/kit/config'
import { plansSetting } from '@instatunnel/kit/plans'
import { z } from 'zod'
import { registrationSetting } from './domain/registration.ts'

const limit = (standard: number) => wholeNumber(1, 1_000_000).default(standard)

const settings = z.object({
  ...commonSettings,
  /** Where to listen. */
  LISTEN: listenAddress.default('127.0.0.1:50051'),
  /** Where to listen for the gateway's questions about calls; nobody else need reach it. */
  CHECK_LISTEN: listenAddress.default('127.0.0.1:50061'),
  /** Where keys answers, as a gRPC target. */
  KEYS_ADDRESS: z.string().default('127.0.0.1:50052'),
  /** Where tunnels answers, as a gRPC target. */
  TUNNELS_ADDRESS: z.string().default('127.0.0.1:50053'),
  /** Where people reach the API: the origin that the session cookie is trusted from, and of links. */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).default('http://localhost:8080'),
  /** The public domain, which the API answers on. */
  DOMAIN: z.string().default('localhost'),
  /** Who may register without an invitation; left out, everybody where DOMAIN is localhost, otherwise nobody. */
  REGISTRATION: registrationSetting.optional(),
  /** 32 bytes in base64: what the private signing keys are sealed with in the database. */
  AUTH_SECRET: secretBytes,
  /** Calls to register and login per client address, a minute; three times as many wrong passwords of an e-mail come without delay. */
  LIMIT_AUTH_PER_MINUTE: limit(10),
  /** Reading calls per user, a minute; a plan may multiply them. */
  LIMIT_READ_PER_MINUTE: limit(100),
  /** Writing calls per user, a minute; a plan may multiply them. */
  LIMIT_WRITE_PER_MINUTE: limit(20),
  /** How often agents may connect one tunnel, a minute. */
  LIMIT_CONNECT_PER_MINUTE: limit(30),
  /** What each plan allows (kit/plans). */
  PLANS: plansSetting,
  /** With the next: made, or promoted, as an admin on plan business at start. */
  INSTATUNNEL_ADMIN_EMAIL: z.string().optional(),
  /** The admin's password where the account is made; an account that exists keeps its own. */
  INSTATUNNEL_ADMIN_PASSWORD: z.string().optional(),
})

/** Everything that auth may be told. */
export type Config = Readonly<z.infer<typeof settings>>

/** Reads the environment, once; stops with the names of the variables at fault. */
export const readConfig = (environment: Environment): Config => readSettings(environment, settings)
