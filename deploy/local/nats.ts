import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createUser, fromSeed } from '@nats-io/nkeys'
import { keptSecret } from './kept-secret.ts'
import { natsConfig } from './nats-config.ts'
import { type NatsUser, natsUsers } from './nats-users.ts'
import { portOrFree } from './ports.ts'
import { describeExit, type RunningProcess, startProcess } from './process.ts'
import { recordOf } from './record-of.ts'
import { serverBinary } from './server-binary.ts'

/** A store of a few gigabytes is read at start. */
const startTimeoutMs = 30_000

/** A NATS server with JetStream on loopback. */
export interface Nats {
  readonly url: string
  readonly port: number
  /** The nkey seed of each user. */
  readonly seeds: Record<NatsUser, string>
  /** The server as it runs now; another after start(). */
  process(): RunningProcess
  stop(): Promise<void>
  /** Ends it as a crash would. */
  kill(): Promise<void>
  /** Starts it again on the same port and streams; resolves once it serves. */
  start(): Promise<void>
}

/** Starts NATS on `dataDir`/nats: the users' seeds are made on first use, the streams stay over restarts. */
export async function startNats(options: { dataDir: string; port: number }): Promise<Nats> {
  const folder = join(options.dataDir, 'nats')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const port = await portOrFree(options.port)
  const seeds = await seedsOf(options.dataDir)
  const command = await serverBinary('nats-server')
  const config = join(folder, 'nats.conf')
  const logFile = join(options.dataDir, 'logs/nats.log')
  const publicKeys = recordOf(natsUsers, (user) =>
    fromSeed(new TextEncoder().encode(seeds[user])).getPublicKey(),
  )
  await writeFile(config, natsConfig({ port, storeDir: join(folder, 'jetstream'), publicKeys }), {
    mode: 0o600,
  })

  const start = async () => {
    const server = await startProcess({ name: 'nats', command, args: ['--config', config], logFile })
    await ready(server)
    return server
  }
  let running = await start()
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    seeds,
    process: () => running,
    async stop() {
      await running.stop()
    },
    async kill() {
      await running.kill('SIGKILL')
    },
    async start() {
      running = await start()
    },
  }
}

async function seedsOf(dataDir: string): Promise<Record<NatsUser, string>> {
  const seeds = await Promise.all(
    natsUsers.map((user) =>
      keptSecret(dataDir, `nats-${user}.seed`, () => new TextDecoder().decode(createUser().getSeed())),
    ),
  )
  return recordOf(natsUsers, (_, index) => seeds[index] as string)
}

function ready(server: RunningProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`nats ${why}:\n${server.lines().join('\n')}`))
    const timer = setTimeout(() => {
      fail('did not serve in time')
      server.kill()
    }, startTimeoutMs)
    const end = server.onLine((line) => {
      if (!line.includes('Server is ready')) return
      clearTimeout(timer)
      end()
      resolve()
    })
    server.exited.then((exit) => {
      clearTimeout(timer)
      fail(`${describeExit(exit)} before it served`)
    })
  })
}
