import { commonSettings, type Environment, listenAddress, readSettings } from '@instatunnel/kit/config'
import { peppersSetting } from '@instatunnel/kit/secret'
import { z } from 'zod'

const settings = z.object({
  ...commonSettings,
  /** Where to serve gRPC, host:port. */
  LISTEN: listenAddress.default('127.0.0.1:50052'),
  /** Where auth serves gRPC: a gRPC target. */
  AUTH_ADDRESS: z.string().default('127.0.0.1:50051'),
  /** Where tunnels serves gRPC: a gRPC target. */
  TUNNELS_ADDRESS: z.string().default('127.0.0.1:50053'),
  /** What keys are hashed under: a JSON object, id → 32 bytes in base64, oldest first; the last hashes new ones. */
  KEY_PEPPERS: peppersSetting,
})

/** The service's settings. */
export type Config = Readonly<z.infer<typeof settings>>

/** Reads the settings, or stops with the names of those at fault. */
export const readConfig = (environment: Environment): Config => readSettings(environment, settings)
