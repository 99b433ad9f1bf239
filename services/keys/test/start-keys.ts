import { randomBytes } from 'node:crypto'
import { Client, credentials } from '@grpc/grpc-js'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import { newId } from '@instatunnel/kit/id'
import type { PresentedCredential } from '@instatunnel/kit/identity'
import { createLog } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { connectPostgres, type Sql } from '@instatunnel/kit/postgres'
import { type Role, scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import {
  KeyDirectoryServiceService,
  type KeyRecord,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { AdminKeyServiceService } from '@instatunnel/proto/keys/v1/admin_key_service'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { type Callers, createCallers } from '@instatunnel/test/callers'
import { freshDatabase } from '@instatunnel/test/database'
import { type Rpcs, rpcsOf } from '@instatunnel/test/rpcs'
import { inject } from 'vitest'
import { readConfig } from '../src/config.ts'
import { type Overrides, start } from '../src/start.ts'
import { type AuthStub, startAuthStub } from './auth-stub.ts'
import { startTunnelsStub, type TunnelsStub } from './tunnels-stub.ts'

/** The rpcs that users call, as one of them calls them. */
export type User = { readonly id: string } & Rpcs<typeof USER_RPCS>

/** The service, running, and those who call it. */
export interface StartedKeys {
  /** A session on the service's schema: to see what was written, and to break it. */
  readonly sql: Sql
  /** The neighbour that decides about keys. */
  readonly auth: Pick<AuthStub, 'asked' | 'code' | 'retryAfter' | 'explained' | 'checks' | 'users'>
  /** The neighbour that has connections cut. */
  readonly tunnels: TunnelsStub
  /** The settings that it was started with. */
  readonly environment: Readonly<Record<string, string>>
  /** A caller: a new user with all the scopes of the role unless said otherwise. `rewrite` sends other bytes to CreateKey. */
  user(options?: {
    id?: string
    role?: Role
    scopes?: readonly string[]
    credential?: PresentedCredential
    rewrite?: (bytes: Buffer) => Buffer
  }): User
  /** The services that call it. */
  readonly callers: Callers
  /** The rpcs that services call, each as one that may. */
  readonly directory: Rpcs<typeof KeyDirectoryServiceService>
  /** What auth finds by a secret; undefined where it finds none. */
  lookUp(secret: string): Promise<KeyRecord | undefined>
  /** All rpcs, with this metadata and nothing else. */
  callWith(metadata: Record<string, string>): Rpcs<typeof ALL>
  close(): Promise<void>
}

/** Starts the service with these settings; in this process, unless a test says otherwise. */
export type Launch = (environment: Readonly<Record<string, string>>, overrides: Overrides) => Promise<Running>

const inProcess: Launch = (environment, overrides) => {
  const config = readConfig(environment)
  return start(config, createLog('keys', config.LOG_LEVEL), overrides)
}

const USER_RPCS = { ...ApiKeyServiceService, ...AdminKeyServiceService }
const ALL = { ...USER_RPCS, ...KeyDirectoryServiceService }

/** A user's id that no one has. */
export const newUserId = () => newId('user_', new Date())

/** A session's id that no one has. */
export const newSessionId = () => newId('ses_', new Date())

/** One pepper, as a setting's entry. */
export const newPepper = () => randomBytes(32).toString('base64')

/** Starts the service on a free port: by itself on a new database, unless the settings name another. */
export async function startKeys(
  settings: Readonly<Record<string, string>> = {},
  overrides: Overrides = {},
  launch: Launch = inProcess,
): Promise<StartedKeys> {
  const [stub, tunnels] = await Promise.all([startAuthStub(), startTunnelsStub()])
  const callers = createCallers('keys', overrides.now)
  const environment = {
    DATABASE_URL: settings.DATABASE_URL ?? (await freshDatabase()),
    NATS_URL: inject('natsUrl'),
    NATS_SEED: inject('natsSeeds').keys,
    LISTEN: '127.0.0.1:0',
    LOG_LEVEL: 'silent',
    KEY_PEPPERS: JSON.stringify({ p1: newPepper() }),
    TUNNELS_ADDRESS: tunnels.address,
    ...settings,
    AUTH_ADDRESS: stub.address,
    ...callers.settings,
  }
  const running = await launch(environment, overrides)
  const channel = new Client(`127.0.0.1:${running.port}`, credentials.createInsecure())
  const sql = connectPostgres({ url: environment.DATABASE_URL, schema: 'keys', connections: 2 })
  const directory = rpcsOf(channel, KeyDirectoryServiceService, callers.metadataOf)
  return {
    sql,
    auth: stub,
    tunnels,
    environment,
    user({ id = newUserId(), role = 'user', scopes = scopesOfRole(role), credential, rewrite } = {}) {
      const token = stub.sign(id, { scopes, role, ...(credential && { credential }) })
      const metadata = async () => ({ [IDENTITY_METADATA]: await token })
      return { id, ...rpcsOf(channel, rewriting(rewrite), metadata) }
    },
    callers,
    directory,
    async lookUp(secret) {
      const { found } = await directory.lookUpKeys({ digests: [digestOf(secret)] })
      return found[0]?.key
    },
    callWith: (metadata) => rpcsOf(channel, ALL, async () => metadata),
    async close() {
      channel.close()
      await running.close()
      await sql.end({ timeout: 1 })
      await Promise.all([stub.close(), tunnels.close()])
    },
  }
}

/** The service's definition for a client that changes the bytes of its requests. */
function rewriting(rewrite: (bytes: Buffer) => Buffer = (bytes) => bytes): typeof USER_RPCS {
  const { createKey } = ApiKeyServiceService
  const requestSerialize: typeof createKey.requestSerialize = (request) =>
    rewrite(createKey.requestSerialize(request))
  return { ...USER_RPCS, createKey: { ...createKey, requestSerialize } }
}
