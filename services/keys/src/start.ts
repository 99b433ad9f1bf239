import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createEviction } from '@instatunnel/kit/eviction'
import { openFoundation } from '@instatunnel/kit/foundation'
import type { Random } from '@instatunnel/kit/id'
import type { Logger } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { createRemoteGuard } from '@instatunnel/kit/remote-auth'
import { followReplicas } from '@instatunnel/kit/replicas'
import { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { AdminKeyServiceService } from '@instatunnel/proto/keys/v1/admin_key_service'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { Config } from './config.ts'
import { onKeyUsage } from './events/on-key-usage.ts'
import { onSessionRevoked } from './events/on-session-revoked.ts'
import { createRecall } from './events/recall.ts'
import { refusals } from './refusals.ts'
import { adminKeyService, apiKeyService, keyDirectoryService } from './service.ts'
import { startSweeper } from './sweeper.ts'

/** What a test may set otherwise than production does. */
export interface Overrides {
  /** The descriptor set to read access rules from. */
  readonly descriptors?: string
  readonly now?: () => Date
  /** The machine's clock. */
  readonly wallClock?: () => Date
  readonly random?: Random
  /** How long the sweeper rests. */
  readonly sweepEveryMs?: number
}

/** Starts the service: opens what it stands on, builds the handlers, hears events, serves. */
export async function start(config: Config, log: Logger, overrides: Overrides = {}): Promise<Running> {
  const { descriptors, random = randomBytes, sweepEveryMs = 60_000 } = overrides
  await using opening = new AsyncDisposableStack()
  const foundation = await openFoundation({
    service: 'keys',
    config,
    log,
    migrations: fileURLToPath(new URL('./store/migrations', import.meta.url)),
    closing: opening,
    descriptors,
    now: overrides.now,
    wallClock: overrides.wallClock,
  })
  const { sql, nats, clock, now } = foundation
  const { guard, auth } = createRemoteGuard(foundation, config.AUTH_ADDRESS, now)
  const tunnels = foundation.client(TunnelDirectoryServiceService, config.TUNNELS_ADDRESS, 'tunnels')
  const replicas = opening.adopt(followReplicas({ nats, log, service: 'auth' }), (followed) =>
    followed.close(),
  )
  const evict = createEviction({ nats, log, replicas })
  const recall = createRecall({ nats, replicas })
  const deps = { sql, now, random, peppers: config.KEY_PEPPERS, auth, tunnels, evict, recall, log }
  for (const consumer of [onSessionRevoked({ sql, nats, log, now, evict }), onKeyUsage({ sql, nats, log })]) {
    opening.adopt(consumer, ({ close }) => close())
  }
  opening.adopt(startSweeper({ sql, log, now, clock, everyMs: sweepEveryMs }), (sweeper) => sweeper.close())
  const { port } = await foundation.serve({
    services: [
      { definition: ApiKeyServiceService, handlers: apiKeyService(deps) },
      { definition: AdminKeyServiceService, handlers: adminKeyService(deps) },
      { definition: KeyDirectoryServiceService, handlers: keyDirectoryService(deps) },
    ],
    guard,
    refusals,
  })
  const closing = opening.move()
  return { port, close: () => closing.disposeAsync() }
}
