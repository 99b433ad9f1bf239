import { type Clock, databaseTime, watchClock } from './clock.ts'
import { OUTBOX_MIGRATIONS } from './event.ts'
import type { Guard } from './guard.ts'
import type { Logger } from './log.ts'
import { type NeighbourConfig, type Neighbours, openNeighbours } from './neighbours.ts'
import { connectPostgres, migrate, type Sql } from './postgres.ts'
import { startPublisher } from './publisher.ts'
import type { Refusals } from './refusal.ts'
import { descriptorsFile, type Rules, readRules } from './rules.ts'
import { type Served, type Serving, serve } from './server.ts'
import { type Edge, implement } from './unary.ts'
import { watchWrites, writeAndForget } from './write-health.ts'

/** The settings that the foundation reads: those of every service (kit/config, commonSettings). */
export interface FoundationConfig extends NeighbourConfig {
  readonly LISTEN: string
  readonly DATABASE_URL: string
  readonly POSTGRES_POOL_SIZE: number
}

/** What every service stands on: its schema, its events, its neighbours and its own gRPC server. */
export interface Foundation extends Neighbours {
  readonly sql: Sql
  readonly rules: Rules
  readonly clock: Clock
  /** The time by which all is decided: the database's, where the service was given none. */
  readonly now: () => Date
  /** Serves handlers behind a guard, with health and reflection. */
  serve(options: { services: readonly Handled[]; guard: Guard; refusals: Refusals }): Promise<Serving>
}

/** A generated service definition with its handlers. */
export interface Handled {
  readonly definition: Served['definition']
  readonly handlers: object
}

/**
 * Opens a service's foundation; what it opens is closed, in reverse order, with `closing`. The schema is brought up
 * to date first; NATS may come later.
 */
export async function openFoundation(options: {
  service: string
  config: FoundationConfig
  log: Logger
  /** The folder of the service's own migrations. */
  migrations: string
  closing: AsyncDisposableStack
  /** The descriptor set to read rules from; the generated one where left out. */
  descriptors?: string | undefined
  /** Goes before the database's clock. */
  now?: (() => Date) | undefined
  /** The machine's clock. */
  wallClock?: (() => Date) | undefined
}): Promise<Foundation> {
  const { service, config, log, closing, wallClock } = options
  const descriptors = options.descriptors ?? descriptorsFile()
  const rules = readRules(descriptors)
  const { DATABASE_URL: url, POSTGRES_POOL_SIZE: connections } = config
  const failed = (error: unknown) => writes.failed(error)
  const sql = closing.adopt(connectPostgres({ url, schema: service, connections, failed }), (pool) =>
    pool.end({ timeout: 2 }),
  )
  const writes = closing.adopt(watchWrites({ write: () => writeAndForget(sql), log }), (watched) =>
    watched.close(),
  )
  await migrate(sql, { schema: service, folders: [OUTBOX_MIGRATIONS, options.migrations] })
  const clock = closing.adopt(watchClock({ readTime: () => databaseTime(sql), log, wallClock }), (watched) =>
    watched.close(),
  )
  await clock.isExact()
  const now = options.now ?? clock.now
  const neighbours = openNeighbours({ service, config, log, closing, now })
  const { nats, transport } = neighbours
  const publisher = closing.adopt(startPublisher({ sql, schema: service, nats, log }), (open) => open.close())

  return {
    ...neighbours,
    sql,
    rules,
    clock,
    now,
    serve: async ({ services, guard, refusals }) => {
      const { certifiedOf } = transport
      const edge: Edge = { guard, rules, refusals, log, certifiedOf, isReady: clock.isReady }
      const served = services.map(({ definition, handlers }) => ({
        definition,
        implementation: implement(definition, handlers as Parameters<typeof implement>[1], edge),
      }))
      const options = {
        listen: config.LISTEN,
        credentials: transport.server,
        services: served,
        descriptors,
      }
      const serving = closing.adopt(await serve(options), (open) => open.close())
      publisher.health.follow((isHealthy) => serving.setHealth('events', isHealthy))
      writes.follow((isHealthy) => serving.setHealth('writes', isHealthy))
      clock.follow((state) => {
        serving.setHealth('', state !== 'wrong')
        serving.setHealth('clock', state === 'exact')
      })
      return serving
    },
  }
}
