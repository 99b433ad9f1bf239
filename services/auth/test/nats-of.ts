import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '@instatunnel/local/nats'

/** Where the replicas on one database meet. */
export interface NatsOf {
  readonly NATS_URL: string
  readonly NATS_SEED: string
  /** One replica less is there; the server ends with the last. */
  release(): Promise<void>
}

/** A server that runs, for as many replicas. */
interface Server {
  readonly started: ReturnType<typeof start>
  users: number
}

const servers = new Map<string, Server>()

/**
 * The NATS server of those replicas that are on one database. Those on another are none of theirs: they would count calls
 * for one another, and each has a clock and limits of its own.
 */
export async function natsOf(databaseUrl: string): Promise<NatsOf> {
  const server = servers.get(databaseUrl) ?? { started: start(), users: 0 }
  servers.set(databaseUrl, server)
  server.users++
  const { nats, stop } = await server.started
  return {
    NATS_URL: nats.url,
    NATS_SEED: nats.seeds.auth,
    async release() {
      if (--server.users > 0) return
      servers.delete(databaseUrl)
      await stop()
    },
  }
}

async function start() {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-auth-'))
  const nats = await startNats({ dataDir, port: 0 })
  const stop = async () => {
    await nats.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  return { nats, stop }
}
