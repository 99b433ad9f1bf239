import { randomBytes } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { keptSecret } from './kept-secret.ts'
import { portOrFree } from './ports.ts'
import { type Cluster, openCluster } from './postgres-cluster.ts'
import { describeExit, type RunningProcess, startProcess } from './process.ts'

/** How long a start may take: after a crash the log is replayed first. */
const startTimeoutMs = 60_000
const pollMs = 50

/** A PostgreSQL server on loopback. */
export interface Postgres {
  /** The administrator's URL, of the database `postgres`. */
  readonly url: string
  readonly port: number
  /** The server as it runs now; another after start(). */
  process(): RunningProcess
  stop(): Promise<void>
  /** Ends it as a crash would. */
  kill(): Promise<void>
  /** Starts it again on the same port and data; resolves once it accepts connections. */
  start(): Promise<void>
}

/**
 * Starts PostgreSQL on the cluster in `dataDir`/postgres, made on first use. `durable: false` leaves out
 * every fsync: for data that is thrown away.
 */
export async function startPostgres(options: {
  dataDir: string
  port: number
  durable?: boolean
  /** The bound on connections; by default one for many tests at once. */
  maxConnections?: number
}): Promise<Postgres> {
  const password = await keptSecret(options.dataDir, 'postgres-password', () =>
    randomBytes(24).toString('hex'),
  )
  const cluster = await openCluster(options.dataDir, password)
  const port = await portOrFree(options.port)
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const { durable = true, maxConnections = 300 } = options
  const start = () => serve({ cluster, port, url, durable, maxConnections })

  let running = await start()
  return {
    url,
    port,
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

interface Serving {
  cluster: Cluster
  port: number
  url: string
  durable: boolean
  maxConnections: number
}

async function serve(serving: Serving): Promise<RunningProcess> {
  const deadline = Date.now() + startTimeoutMs
  await removeStalePidFile(serving.cluster)
  for (;;) {
    const server = await spawnServer(serving)
    if (await accepts(server, serving.url, deadline)) return server
    const exit = await server.stop()
    const said = server.lines().join('\n')
    // After a crash the old server's last children may need a moment to notice that it is gone.
    const childrenLinger = /pre-existing shared memory block/.test(said)
    if (childrenLinger && Date.now() < deadline) await delay(pollMs)
    else throw new Error(`postgres ${describeExit(exit)} before it accepted connections:\n${said}`)
  }
}

function spawnServer({ cluster, port, durable, maxConnections }: Serving): Promise<RunningProcess> {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '', // TCP alone: a socket in a shared folder could be squatted
    max_connections: String(maxConnections),
    shared_buffers: '128MB',
    log_min_messages: 'warning',
    logging_collector: 'off',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  return startProcess({
    name: 'postgres',
    command: join(cluster.bin, 'postgres'),
    args: [
      '-D',
      cluster.dataPath,
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    ...cluster.run,
    logFile: cluster.logFile,
    stopSignal: 'SIGINT', // its fast shutdown: open sessions are ended, all is written
  })
}

/** Whether the server took a connection before it ended or the time was up. */
async function accepts(server: RunningProcess, url: string, deadline: number): Promise<boolean> {
  let ended = false
  server.exited.then(() => {
    ended = true
  })
  while (!ended && Date.now() < deadline) {
    const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} })
    try {
      await sql`select 1`
      return true
    } catch {
      await delay(pollMs)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  return false
}

/**
 * After a crash the number in postmaster.pid may belong to some other process by now, and PostgreSQL would
 * not start beside it. Whoever holds the data folder's lock knows that no server of ours is left.
 */
async function removeStalePidFile({ folder }: Cluster): Promise<void> {
  const file = join(folder, 'postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return
  const pid = Number(text.split('\n')[0])
  const [theirs, ours] = await Promise.all([stat(`/proc/${pid}/cwd`).catch(() => undefined), stat(folder)])
  const isOurs = theirs?.dev === ours.dev && theirs.ino === ours.ino
  if (process.platform === 'linux' && !isOurs) await rm(file, { force: true })
}
