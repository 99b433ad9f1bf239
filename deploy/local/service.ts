import { join } from 'node:path'
import { portOrFree } from './ports.ts'
import { describeExit, type Exit, type RunningProcess, startProcess } from './process.ts'
import { repository } from './repository.ts'
import type { ServiceName } from './service-names.ts'

/** The schema is migrated first, and replicas wait for one another. */
const startTimeoutMs = 60_000

/**
 * How Node collects garbage, by what was measured.
 *
 * auth keeps nothing of a call: with a young generation of 2 MB the p99 of Check was 3.5 ms and its memory 295 MiB, with
 * the 16 MB that it would grow to 8 ms and 400 MiB (on node:http2, before http2/). What it remembers grows by half before it is marked, not twofold: with
 * 100,000 keys in use its memory is 350 MiB at its most, and 640, for as many calls a second.
 *
 * The relay: bodies that passed are memory outside of its heap, which a collection of the young generation lets go of;
 * where that is larger, marking the whole heap comes first, eleven times a second (bulk: 600 MB/s, and 720 with 1 MB).
 * And the whole heap, small as it is, may grow fourfold before it is marked (p99 of small requests: 8 ms, and 3).
 */
const nodeArgs: Record<ServiceName, string[]> = {
  auth: ['--max-semi-space-size=2', '--heap-growing-percent=50'],
  keys: [],
  tunnels: [],
  relay: ['--max-semi-space-size=1', '--heap-growing-percent=300'],
}

/** Keeps what Node makes of the sources: half of a start is reading TypeScript. */
const compileCache = { NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/instatunnel') }

/** Requests through tunnels may take their time to finish: a relay drains for 30 s. */
const drainGraceMs = 35_000

/** One replica of a service. */
export interface Service {
  readonly name: ServiceName
  /** Counted from 0. */
  readonly replica: number
  /** Where it answers gRPC, as "host:port": the same after a restart. */
  readonly address: string
  readonly port: number
  /** The replica as it runs now; another after start(). */
  process(): RunningProcess
  stop(): Promise<Exit>
  /** Ends it as a crash would, unless another signal is named. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /** Starts it again on the same port, with `env` on top of what it had; resolves once it serves. The signal ends the start. */
  start(env?: Record<string, string>, signal?: AbortSignal): Promise<void>
  /** Stops it, and starts it again as start() does. */
  restart(env?: Record<string, string>): Promise<void>
}

/** Starts a replica and resolves once it serves. Its environment is `env`, and where Node keeps compiled code. */
export async function startService(options: {
  name: ServiceName
  replica: number
  /** 0 means any free one. */
  port: number
  env: Record<string, string>
  logDir: string
  /** Ends the start. */
  signal?: AbortSignal
}): Promise<Service> {
  const { name, replica } = options
  const port = await portOrFree(options.port)
  const address = `127.0.0.1:${port}`
  let env: Record<string, string> = { ...options.env, LISTEN: address }
  const launch = async (signal?: AbortSignal) => {
    const running = await startProcess({
      name: replica === 0 ? name : `${name} ${replica + 1}`,
      command: process.execPath,
      args: ['--enable-source-maps', ...nodeArgs[name], join(repository, 'services', name, 'src/main.ts')],
      cwd: repository,
      env: { ...compileCache, ...env },
      logFile: join(options.logDir, `${name}-${replica + 1}.log`),
      ...(name === 'relay' ? { graceMs: drainGraceMs } : {}),
    })
    await serving(running, signal)
    return running
  }

  let running = await launch(options.signal)
  const start = async (more: Record<string, string> = {}, signal?: AbortSignal) => {
    env = { ...env, ...more }
    running = await launch(signal)
  }
  return {
    name,
    replica,
    address,
    port,
    process: () => running,
    stop: () => running.stop(),
    kill: (signal) => running.kill(signal),
    start,
    async restart(more) {
      await running.stop()
      await start(more)
    },
  }
}

/** Resolves at the log line that says that it serves; one that does not is killed first. */
async function serving(running: RunningProcess, signal?: AbortSignal): Promise<void> {
  const { name } = running
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => {
      settled()
      reject(new Error(`${name} ${why}:\n${running.lines().join('\n')}`))
    }
    const timer = setTimeout(() => running.kill().then(() => fail('did not serve in time')), startTimeoutMs)
    const giveUp = () => running.kill().then(() => fail('was given up'))
    const end = running.onLine((line) => {
      if (!line.startsWith('{') || !line.includes('"msg":"serving"')) return
      settled()
      resolve()
    })
    const settled = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
      end()
    }
    if (signal?.aborted) giveUp()
    else signal?.addEventListener('abort', giveUp, { once: true })
    running.exited.then((exit) => fail(`${describeExit(exit)} before it served`))
  })
}
