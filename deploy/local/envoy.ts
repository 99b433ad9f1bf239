import { closeSync, openSync } from 'node:fs'
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { clustersFile, gatewayFiles, type Place, type ServiceAddresses } from '@instatunnel/gateway/place'
import { withoutCrashDump } from './crash-dump.ts'
import { type Exit, type RunningProcess, startProcess } from './process.ts'
import { repository } from './repository.ts'
import { serverBinary } from './server-binary.ts'

const contract = join(repository, 'proto/gen/descriptors.binpb')

/** Envoy listens once it has asked every replica for its health: a second for each that hangs. */
const startTimeoutMs = 30_000
const pollMs = 20
/** Envoy's main thread answers at once, or hangs. */
const adminTimeoutMs = 5000

/** What differs by place, and how Envoy is run here. */
export interface EnvoyOptions extends Omit<Place, 'addresses' | 'descriptors'> {
  /** A folder for this Envoy alone; everything in it that Envoy reads is written anew. */
  runDir: string
  /** 127.0.0.1 unless it is said otherwise. */
  addresses?: readonly string[]
  /** A descriptor set; the contract's unless it is said otherwise. */
  descriptors?: string
  /** Worker threads; one for each core unless it is said otherwise. */
  concurrency?: number
  /** The program; by default the one that npm start would take. */
  binary?: string
  /** Where all that it writes is kept as well. */
  logFile?: string
  /** Hears each line of the access log, parsed. */
  onAccessLog?: (entry: Record<string, unknown>) => void
  /** Changes a file before Envoy reads it, e.g. a timeout in a test. */
  edit?: (file: string, text: string) => string
}

/** A running Envoy. */
export interface Envoy {
  readonly port: number
  readonly pid: number
  readonly process: RunningProcess
  readonly exited: Promise<Exit>
  /** The last lines that it wrote, without the access log. */
  logTail(): string[]
  stop(): Promise<Exit>
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /** Sends new requests to these replicas from now on; no restart, and nothing in flight is cut. */
  updateServices(services: ServiceAddresses): Promise<void>
  /** GET on the admin interface, e.g. "/stats?filter=upstream_rq". */
  admin(path: string): Promise<string>
}

/** Starts Envoy on the gateway's files; resolves once it listens. */
export async function startEnvoy(options: EnvoyOptions): Promise<Envoy> {
  const { runDir, addresses = ['127.0.0.1'], descriptors = contract, edit = (_file, text) => text } = options
  await rm(join(runDir, 'admin.sock'), { force: true })

  const write = async (file: string, text: string) => {
    const path = join(runDir, file)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(`${path}.new`, edit(file, text), { mode: 0o600 })
    await rename(`${path}.new`, path) // Envoy hears of moves, and never reads half a file
  }
  for (const [file, text] of Object.entries(gatewayFiles({ ...options, addresses, descriptors })))
    await write(file, text)
  await copyFile(descriptors, join(runDir, 'descriptors.binpb'))

  const running = await startProcess({
    name: 'envoy',
    command: options.binary ?? (await serverBinary('envoy')),
    args: [
      ...['--config-path', 'envoy.yaml'],
      '--reject-unknown-dynamic-fields', // a misspelt setting is a mistake, in every file
      '--disable-hot-restart', // two Envoys of one machine share nothing
      ...['--log-level', 'warning'],
      ...['--file-flush-interval-msec', '100'],
      ...(options.concurrency ? ['--concurrency', String(options.concurrency)] : []),
    ],
    cwd: runDir,
    logFile: options.logFile,
    passes: withoutCrashDump(),
  })
  if (options.onAccessLog) hearAccessLog(running, options.onAccessLog)
  const admin = (path: string) => get(runDir, path)
  return {
    port: await listening(running, admin),
    pid: running.pid,
    process: running,
    exited: running.exited,
    logTail: () => ownLines(running),
    stop: running.stop,
    kill: running.kill,
    updateServices: (services) => write('place/clusters.yaml', clustersFile({ ...options, services })),
    admin,
  }
}

function hearAccessLog(running: RunningProcess, hear: (entry: Record<string, unknown>) => void) {
  running.onLine((line) => {
    if (line.startsWith('{')) hear(JSON.parse(line))
  })
}

const ownLines = (running: RunningProcess) => running.lines().filter((line) => !line.startsWith('{'))

async function listening(running: RunningProcess, admin: (path: string) => Promise<string>): Promise<number> {
  let going = true
  running.exited.then(() => {
    going = false
  })
  const deadline = Date.now() + startTimeoutMs
  while (going && Date.now() < deadline) {
    // A file that is wrong does not end Envoy: it would run on without listening, or reset every connection.
    const rejected = await admin('/stats?filter=update_rejected').catch(() => '')
    if (/: [1-9]/.test(rejected) || running.lines().some((line) => line.includes('rejected'))) break
    const routes = await admin('/stats?filter=rds.routes.update_success').catch(() => '')
    if (/: [1-9]/.test(routes)) return portIn(await admin('/listeners?format=json'))
    await delay(pollMs)
  }
  await running.kill()
  throw new Error(`Envoy does not start:\n${ownLines(running).join('\n')}`)
}

const portIn = (listeners: string): number =>
  JSON.parse(listeners).listener_statuses.find(({ name }: { name: string }) => name === 'http').local_address
    .socket_address.port_value

function get(runDir: string, path: string): Promise<string> {
  // The path of a socket has 107 bytes at most (unix(7)), which a folder's own may exceed: an open folder has a short one.
  const folder = openSync(runDir, 'r')
  const socketPath = `/proc/self/fd/${folder}/admin.sock`
  return new Promise<string>((resolve, reject) => {
    const outgoing = request({ socketPath, path, agent: false }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
    outgoing.setTimeout(adminTimeoutMs, () => outgoing.destroy(new Error(`Envoy does not answer ${path}`)))
    outgoing.on('error', reject)
    outgoing.end()
  }).finally(() => closeSync(folder))
}
