import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@instatunnel/local/config'
import type { Nats } from '@instatunnel/local/nats'
import type { Postgres } from '@instatunnel/local/postgres'
import type { ServiceName } from '@instatunnel/local/service-names'
import { type Stack, startStack } from '@instatunnel/local/stack'
import { type Observer, observe } from './observer.ts'
import { type Call, restClient } from './rest-client.ts'

/** Limits that no test meets by chance; a test of the limits sets its own. */
const noLimits = {
  LIMIT_AUTH_PER_MINUTE: '100000',
  LIMIT_READ_PER_MINUTE: '100000',
  LIMIT_WRITE_PER_MINUTE: '100000',
  LIMIT_CONNECT_PER_MINUTE: '100000',
  LIMIT_REGENERATE_PER_HOUR: '100000',
}

const freePorts = {
  INSTATUNNEL_PORT: '0',
  INSTATUNNEL_AUTH_PORT: '0',
  INSTATUNNEL_KEYS_PORT: '0',
  INSTATUNNEL_TUNNELS_PORT: '0',
  INSTATUNNEL_NATS_PORT: '0',
  INSTATUNNEL_POSTGRES_PORT: '0',
}

/** The whole platform, as `npm start` runs it, and what a test needs to talk to it. */
export interface TestStack extends Stack {
  readonly postgres: Postgres
  readonly nats: Nats
  /** Calls the gateway's REST API. */
  call: Call
  /** Reads the event streams from their start on. */
  observe(): Promise<Observer>
}

/**
 * Starts everything on free ports and a temporary data folder. `settings` are those of `npm start`,
 * e.g. `{ LIMIT_WRITE_PER_MINUTE: '3', INSTATUNNEL_REPLICAS: '2' }`; `env` adds to one service's environment;
 * `durable` is for a test that kills Postgres and wants back what was committed; a `dataDir` of the test's own is left
 * for it to remove.
 */
export async function startTestStack({
  settings = {},
  env,
  durable = false,
  dataDir: given,
}: {
  settings?: Record<string, string>
  env?: Partial<Record<ServiceName, Record<string, string>>>
  durable?: boolean
  dataDir?: string
} = {}): Promise<TestStack> {
  const dataDir = given ?? (await mkdtemp(join(tmpdir(), 'instatunnel-stack-')))
  const config = readConfig({ INSTATUNNEL_DATA: dataDir, ...freePorts, ...noLimits, ...settings })
  const removeData = async () => given ?? rm(dataDir, { recursive: true, force: true })
  const stack = await startStack({ config, env, durable }).catch(async (error) => {
    await removeData()
    throw error
  })
  const { nats, postgres } = stack
  if (!nats || !postgres) throw new Error('a test stack has its own servers')
  const observers: Observer[] = []
  return {
    ...stack,
    nats,
    postgres,
    call: restClient({ port: stack.gateway.port, host: config.domain }),
    observe: async () => {
      const observer = await observe({ url: nats.url, seed: nats.seeds.observer })
      observers.push(observer)
      return observer
    },
    stop: async () => {
      await Promise.all(observers.map((observer) => observer.close()))
      await stack.stop()
      await removeData()
    },
  }
}
