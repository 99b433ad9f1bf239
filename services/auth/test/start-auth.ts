import { randomBytes } from 'node:crypto'
import { Client, credentials } from '@grpc/grpc-js'
import type { Evicted } from '@instatunnel/kit/eviction'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import { newId } from '@instatunnel/kit/id'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { connectPostgres, type Sql } from '@instatunnel/kit/postgres'
import { askReplicas } from '@instatunnel/kit/replicas'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { AdminServiceService } from '@instatunnel/proto/auth/v1/admin_service'
import { AuthServiceService, type LoginResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { AuthorizationService } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { type Callers, createCallers } from '@instatunnel/test/callers'
import { freshDatabase } from '@instatunnel/test/database'
import { type Rpc, type Rpcs, rpcsOf } from '@instatunnel/test/rpcs'
import { readConfig } from '../src/config.ts'
import { start } from '../src/start.ts'
import { type Checked, checkedOf, checkRequest, type RestCall } from './check.ts'
import { natsOf } from './nats-of.ts'
import { type Neighbours, startNeighbours } from './neighbours.ts'

const { updateUser: _, ...ADMIN_RPCS } = AdminServiceService
const USER_RPCS = { ...AuthServiceService, ...ADMIN_RPCS }

/** The rpcs that people and programs call; AdminService.UpdateUser goes by another name, for there are two. */
export type RestRpcs = Rpcs<typeof USER_RPCS> & {
  adminUpdateUser: Rpcs<typeof AdminServiceService>['updateUser']
}

/** An account that a test has made, with what its registration gave. */
export interface Person {
  readonly id: string
  readonly email: string
  readonly password: string
  readonly token: string
  readonly apiKey: string
}

/** The service, running, and those who call it. */
export interface StartedAuth {
  readonly port: number
  /** Where the gateway asks. */
  readonly checkPort: number
  /** A session on the service's schema: to see what was written, and to break it. */
  readonly sql: Sql
  readonly neighbours: Neighbours
  /** The settings that it was started with. */
  readonly environment: Readonly<Record<string, string>>
  /** Everything that it has logged. */
  readonly logged: readonly string[]
  /** Envoy's question about a call. */
  check(method: string, call?: RestCall): Promise<Checked>
  /** The rpcs as the gateway calls them: Check first, then the rpc with what Check told. Refused by Check, they reject with it. */
  rest(call?: RestCall): RestRpcs
  /** The services that call it. */
  readonly callers: Callers
  /** The rpcs that services call, each as one that may. */
  readonly internal: Rpcs<typeof AuthorizationServiceService>
  /** All rpcs, with this metadata and nothing else. */
  callWith(metadata: Record<string, string>): RestRpcs & Rpcs<typeof AuthorizationServiceService>
  /** Makes an account. */
  register(fields?: { email?: string; password?: string; name?: string }): Promise<Person>
  /** Makes an account and then an admin of it. */
  registerAdmin(): Promise<Person>
  login(person: { email: string; password: string }): Promise<LoginResponse>
  /** Has it forget, as keys does after each change of a key, and waits until it has. */
  evict(what: Evicted): Promise<void>
  close(): Promise<void>
}

/** A password that is not any other's. */
export const newPassword = () => `pw ${randomBytes(9).toString('base64url')}`
/** An e-mail that is not any other's. */
export const newEmail = () => `ada.${randomBytes(6).toString('hex')}@example.com`

/** A client's address that is not any other's. */
const newAddress = () => `10.${[...randomBytes(3)].join('.')}`

/** Limits that no test meets by chance; a test of the limits sets its own. */
const NO_LIMITS = {
  LIMIT_AUTH_PER_MINUTE: '100000',
  LIMIT_READ_PER_MINUTE: '100000',
  LIMIT_WRITE_PER_MINUTE: '100000',
  LIMIT_CONNECT_PER_MINUTE: '100000',
}

/**
 * Starts the service on a free port: by itself on a new database, unless the settings name another. All that are on one
 * database are replicas of one another.
 */
export async function startAuth(
  settings: Readonly<Record<string, string>> = {},
  overrides: { now?: () => Date; wallClock?: () => Date; descriptors?: string } = {},
): Promise<StartedAuth> {
  const now = overrides.now ?? (() => new Date())
  const neighbours = await startNeighbours(now)
  const callers = createCallers('auth', now)
  const DATABASE_URL = settings.DATABASE_URL ?? (await freshDatabase())
  const { release, ...ownNats } = settings.NATS_URL ? { release: async () => {} } : await natsOf(DATABASE_URL)
  const environment = {
    DATABASE_URL,
    ...ownNats,
    LISTEN: '127.0.0.1:0',
    CHECK_LISTEN: '127.0.0.1:0',
    LOG_LEVEL: 'trace',
    PUBLIC_URL: 'http://localhost:8080',
    AUTH_SECRET: randomBytes(32).toString('base64'),
    KEYS_ADDRESS: neighbours.keysAddress,
    TUNNELS_ADDRESS: neighbours.tunnelsAddress,
    ...NO_LIMITS,
    ...settings,
    ...callers.settings,
  }
  const logged: string[] = []
  const log = createLog('auth', 'trace', { write: (line: string) => void logged.push(line) })
  const config = readConfig(environment)
  const replica = newId('auth_', new Date())
  const running = await start(config, log, { ...overrides, replica }).catch(async (error) => {
    neighbours.close()
    await release()
    throw error
  })
  const channel = new Client(`127.0.0.1:${running.port}`, credentials.createInsecure())
  const checkChannel = new Client(`127.0.0.1:${running.checkPort}`, credentials.createInsecure())
  const sql = connectPostgres({ url: config.DATABASE_URL, schema: 'auth', connections: 2 })

  const restRpcs = (metadataOf: () => Promise<Record<string, string>>): RestRpcs => ({
    ...rpcsOf(channel, USER_RPCS, metadataOf),
    adminUpdateUser: rpcsOf(channel, AdminServiceService, metadataOf).updateUser,
  })
  const envoy = rpcsOf(checkChannel, { check: AuthorizationService.check })
  const nats = connectNats({ url: config.NATS_URL, seed: config.NATS_SEED, name: 'auth', log })
  const follow = { live: () => [replica], isThere: () => true, isCurrent: () => true }
  const started: StartedAuth = {
    port: running.port,
    checkPort: running.checkPort,
    sql,
    neighbours,
    environment,
    logged,
    check: async (method, call = {}) => checkedOf(await envoy.check(checkRequest(method, call))),
    rest: (call = {}) => throughCheck(restRpcs, (method) => started.check(method, call), call),
    callers,
    internal: rpcsOf(channel, AuthorizationServiceService, callers.metadataOf),
    callWith: (metadata) => ({
      ...restRpcs(async () => metadata),
      ...rpcsOf(channel, AuthorizationServiceService, async () => metadata),
    }),
    async register({ email = newEmail(), password = newPassword(), name = '' } = {}) {
      const { user, token, apiKey } = await started
        .rest({ address: newAddress() })
        .register({ email, password, name })
      return { id: user?.id as string, email, password, token, apiKey }
    },
    async registerAdmin() {
      const person = await started.register()
      await sql`update users set role = 'admin', plan = 'business' where id = ${person.id}`
      return person
    },
    login: ({ email, password }) => started.rest().login({ email, password }),
    async evict(what) {
      await nats.ready
      for (let acked: readonly string[] = []; acked.length === 0; ) {
        const subject = 'instatunnel.auth.evict'
        const asked = await askReplicas({ nats, follow, subject, request: what, waitMs: 500 })
        acked = asked.acked
      }
    },
    async close() {
      await nats.close()
      channel.close()
      checkChannel.close()
      await running.close()
      await sql.end({ timeout: 1 })
      neighbours.close()
      await release()
    },
  }
  return started
}

/** Wraps every rpc so that Check is asked first, and what it tells goes along with what the browser says of itself, as Envoy does it. */
function throughCheck(
  rpcsWith: (metadataOf: () => Promise<Record<string, string>>) => RestRpcs,
  check: (method: string) => Promise<Checked>,
  { origin, fetchSite }: RestCall,
): RestRpcs {
  const sent = { ...(origin && { origin }), ...(fetchSite && { 'sec-fetch-site': fetchSite }) }
  const paths = { ...USER_RPCS, adminUpdateUser: AdminServiceService.updateUser }
  const wrapped = Object.entries(paths).map(([name, { path }]) => {
    const call: Rpc<object, unknown> = async (request, options) => {
      const checked = await check(path)
      if (!checked.admitted) throw Object.assign(new Error(`${path}: ${checked.body.message}`), { checked })
      const rpc = rpcsWith(async () => ({ ...sent, ...checked.headers }))[name as keyof RestRpcs] as Rpc<
        object,
        unknown
      >
      return rpc(request, options)
    }
    return [name, call]
  })
  return Object.fromEntries(wrapped) as RestRpcs
}

/** What a call by an identity brings along. */
export const withIdentity = (identity: string) => ({ [IDENTITY_METADATA]: identity })
