import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { openFoundation } from '@instatunnel/kit/foundation'
import type { Random } from '@instatunnel/kit/id'
import type { Logger } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { createRemoteGuard } from '@instatunnel/kit/remote-auth'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import type { Config } from './config.ts'
import { createTokenSafe } from './domain/token-safe.ts'
import { onTunnelConnected } from './events/on-tunnel-connected.ts'
import { onTunnelUsage } from './events/on-tunnel-usage.ts'
import { watchPresence } from './events/presence.ts'
import { createRelayCut } from './events/relay-cut.ts'
import { createRelayRename } from './events/relay-rename.ts'
import { refusals } from './refusals.ts'
import { tunnelDirectoryService, tunnelService } from './service.ts'
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

/** Starts the service: opens what it stands on, builds the handlers, serves them. */
export async function start(config: Config, log: Logger, overrides: Overrides = {}): Promise<Running> {
  const { descriptors, random = randomBytes, sweepEveryMs = 15_000 } = overrides
  await using opening = new AsyncDisposableStack()
  const foundation = await openFoundation({
    service: 'tunnels',
    config,
    log,
    migrations: fileURLToPath(new URL('./store/migrations', import.meta.url)),
    closing: opening,
    descriptors,
    now: overrides.now,
    wallClock: overrides.wallClock,
  })
  const { sql, nats, clock, now } = foundation
  const presence = opening.adopt(watchPresence({ nats, log, now }), (watched) => watched.close())
  const { guard } = createRemoteGuard(foundation, config.AUTH_ADDRESS, now)
  const relays = { nats, routes: presence.routes, log }
  const deps = {
    sql,
    now,
    random,
    peppers: config.TOKEN_PEPPERS,
    safe: createTokenSafe(config.TOKEN_SECRET),
    plans: config.PLANS,
    address: { domain: config.DOMAIN, gateway: config.PUBLIC_URL },
    regenerationsPerHour: config.LIMIT_REGENERATE_PER_HOUR,
    presence,
    cutConnections: createRelayCut(relays),
    tellRenamed: createRelayRename(relays),
  }
  for (const hear of [onTunnelUsage, onTunnelConnected]) {
    opening.adopt(hear({ sql, nats, log, now }), (consumer) => consumer.close())
  }
  opening.adopt(startSweeper({ sql, presence, log, now, clock, everyMs: sweepEveryMs }), (sweeper) =>
    sweeper.close(),
  )
  const { port } = await foundation.serve({
    services: [
      { definition: TunnelServiceService, handlers: tunnelService(deps) },
      { definition: TunnelDirectoryServiceService, handlers: tunnelDirectoryService(deps) },
    ],
    guard,
    refusals,
  })
  const closing = opening.move()
  return { port, close: () => closing.disposeAsync() }
}
