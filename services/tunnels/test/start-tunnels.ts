import { randomBytes } from 'node:crypto'
import { Client, credentials } from '@grpc/grpc-js'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import { newId } from '@instatunnel/kit/id'
import type { CredentialBounds } from '@instatunnel/kit/identity'
import { createLog } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import type { Plan } from '@instatunnel/kit/plans'
import { connectPostgres, type Sql } from '@instatunnel/kit/postgres'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { TunnelServiceService } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { type Callers, createCallers } from '@instatunnel/test/callers'
import { freshDatabase } from '@instatunnel/test/database'
import { type Rpcs, rpcsOf } from '@instatunnel/test/rpcs'
import { inject } from 'vitest'
import { readConfig } from '../src/config.ts'
import { type Overrides, start } from '../src/start.ts'
import { startAuthStub } from './auth-stub.ts'

/** The rpcs that users call, as one of them calls them. */
export type User = { readonly id: string } & Rpcs<typeof TunnelServiceService>

/** The service, running, and those who call it. */
export interface StartedTunnels {
  /** A session on the service's schema: to see what was written, and to break it. */
  readonly sql: Sql
  /** The settings that it was started with. */
  readonly environment: Readonly<Record<string, string>>
  /**
   * A caller: a new user on the free plan, with all of a user's scopes unless said otherwise; with `subdomains`, by a
   * key that is for these patterns only.
   */
  user(options?: {
    id?: string
    plan?: Plan
    scopes?: readonly string[]
    subdomains?: readonly string[]
    /** What else bounds the key. */
    bounds?: Partial<CredentialBounds>
  }): User
  /** The services that call it. */
  readonly callers: Callers
  /** The rpcs that services call, each as one that may. */
  readonly directory: Rpcs<typeof TunnelDirectoryServiceService>
  /** All rpcs, with this metadata and nothing else. */
  callWith(metadata: Record<string, string>): Rpcs<typeof ALL>
  close(): Promise<void>
}

const ALL = { ...TunnelServiceService, ...TunnelDirectoryServiceService }

/** Starts the service itself, by these settings. */
export type Launch = (environment: Readonly<Record<string, string>>) => Promise<Running>

const inThisProcess =
  (overrides: Overrides): Launch =>
  async (environment) => {
    const config = readConfig(environment)
    return start(config, createLog('tunnels', config.LOG_LEVEL), overrides)
  }

/** Starts the service on a free port: in this process and on a new database, unless it is said otherwise. */
export async function startTunnels(
  settings: Readonly<Record<string, string>> = {},
  overrides: Overrides = {},
  launch: Launch = inThisProcess(overrides),
): Promise<StartedTunnels> {
  const stub = await startAuthStub()
  const callers = createCallers('tunnels', overrides.now)
  const environment = {
    DATABASE_URL: settings.DATABASE_URL ?? (await freshDatabase()),
    NATS_URL: inject('natsUrl'),
    NATS_SEED: inject('natsSeeds').tunnels,
    LISTEN: '127.0.0.1:0',
    LOG_LEVEL: 'silent',
    TOKEN_PEPPERS: JSON.stringify({ p1: randomBytes(32).toString('base64') }),
    TOKEN_SECRET: randomBytes(32).toString('base64'),
    ...settings,
    AUTH_ADDRESS: stub.address,
    ...callers.settings,
  }
  const running = await launch(environment)
  const channel = new Client(`127.0.0.1:${running.port}`, credentials.createInsecure())
  const sql = connectPostgres({ url: environment.DATABASE_URL, schema: 'tunnels', connections: 2 })

  return {
    sql,
    environment,
    user({ id = newId('user_', new Date()), subdomains, bounds, ...claims } = {}) {
      const held = { ...(subdomains && { subdomains }), ...bounds }
      const credential = (subdomains ?? bounds) && { type: 'api_key' as const, id: 'key_1', ...held }
      const token = stub.sign(id, { ...claims, ...(credential && { credential }) })
      const metadata = async () => ({ [IDENTITY_METADATA]: await token })
      return { id, ...rpcsOf(channel, TunnelServiceService, metadata) }
    },
    callers,
    directory: rpcsOf(channel, TunnelDirectoryServiceService, callers.metadataOf),
    callWith: (metadata) => rpcsOf(channel, ALL, async () => metadata),
    async close() {
      channel.close()
      await running.close()
      await sql.end({ timeout: 1 })
      await stub.close()
    },
  }
}
