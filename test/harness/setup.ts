import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '@instatunnel/local/nats'
import type { NatsUser } from '@instatunnel/local/nats-users'
import { startPostgres } from '@instatunnel/local/postgres'
import type { TestProject } from 'vitest/node'
import { withStreams } from './streams.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The run's Postgres, as its administrator. */
    postgresUrl: string
    /** The run's NATS, shared by all files: for a stream of one's own use freshNats(). */
    natsUrl: string
    natsSeeds: Record<NatsUser, string>
  }
}

/** Starts the run's Postgres and NATS before the first test and throws them away after the last. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-test-'))
  const [postgres, nats] = await Promise.all([
    startPostgres({ dataDir, port: 0, durable: false }),
    startNats({ dataDir, port: 0 }),
  ])
  await withStreams(nats).makeStreams()
  project.provide('postgresUrl', postgres.url)
  project.provide('natsUrl', nats.url)
  project.provide('natsSeeds', nats.seeds)

  return async () => {
    await Promise.all([nats.stop(), postgres.stop()])
    await rm(dataDir, { recursive: true, force: true })
  }
}
