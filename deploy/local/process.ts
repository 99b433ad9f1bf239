import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { openLogFile } from './log-file.ts'

/** How many of a child's last lines are kept, to be shown when it dies. */
const keptLines = 40
/** How long a child has to end by itself once asked, before it is killed. */
const stopGraceMs = 10_000

/**
 * Runs the command as leader of its own group, beside a watcher that kills the whole group at the end of
 * file on descriptor 3. The other end is ours, and the kernel closes it however we die, SIGKILL included.
 * The watcher closes everything else so that it holds no one's pipe open.
 */
const underWatch =
  '{ trap "" HUP INT TERM; read -r _ <&3; kill -9 -$$; } </dev/null >/dev/null 2>&1 & exec 3<&-; exec "$@"'

/** How a process ended: one of the two is set. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A running child: it dies with us, whatever becomes of us. */
export interface RunningProcess {
  readonly name: string
  readonly pid: number
  /** Resolves when the process has ended and all it wrote has been read. */
  readonly exited: Promise<Exit>
  /** The last lines it wrote, on stdout and stderr. */
  lines(): string[]
  /** Calls back with every line from now on; a function that ends that comes back. */
  onLine(listen: (line: string) => void): () => void
  /** Asks it to end, and kills it when it does not within the grace; resolves once it is gone. */
  stop(): Promise<Exit>
  /** Signals it; SIGKILL goes to its whole group. Resolves once it is gone. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
}

/** What to run, and as whom. Nothing secret belongs in `args`: every user of the machine can read them. */
export interface ProcessOptions {
  name: string
  command: string
  args?: string[]
  /** The whole environment: nothing is inherited. */
  env?: Record<string, string>
  cwd?: string
  uid?: number
  gid?: number
  /** The signal that asks it to end: SIGTERM unless the program has a better one. */
  stopSignal?: NodeJS.Signals
  graceMs?: number
  /** Where all that it writes is kept as well. */
  logFile?: string
  /** Which of its lines are kept and heard; all of them unless it is said otherwise. */
  passes?: (line: string) => boolean
}

/** Starts a program that lives no longer than this process. */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const { name, command, args = [], env = {}, cwd, uid, gid, stopSignal = 'SIGTERM' } = options
  const child = spawn('/bin/sh', ['-c', underWatch, name, command, ...args], {
    env,
    cwd,
    uid,
    gid,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const pid = await spawned(child, name)
  const lifeline = child.stdio[3] as Readable
  lifeline.on('error', () => {}) // the group was killed, watcher and all

  const log = options.logFile ? openLogFile(options.logFile) : undefined
  const kept: string[] = []
  const listeners = new Set<(line: string) => void>()
  for (const output of [child.stdout, child.stderr]) {
    if (!output) continue
    createInterface({ input: output }).on('line', (line) => {
      if (options.passes && !options.passes(line)) return
      if (kept.push(line) > keptLines) kept.shift()
      log?.write(line)
      for (const listen of listeners) listen(line)
    })
  }

  child.once('exit', () => lifeline.destroy()) // the watcher clears away what the child has left behind
  const exited = new Promise<Exit>((resolve) =>
    child.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
      log?.close()
      resolve({ code, signal })
    }),
  )
  const ended = () => child.exitCode !== null || child.signalCode !== null
  const killed = () => {
    signalGroup(pid)
    return exited
  }

  return {
    name,
    pid,
    exited,
    lines: () => [...kept],
    onLine(listen) {
      listeners.add(listen)
      return () => listeners.delete(listen)
    },
    kill(signal = 'SIGKILL') {
      if (signal === 'SIGKILL') return killed()
      child.kill(signal)
      return exited
    },
    async stop() {
      if (ended()) return exited
      child.kill(stopSignal)
      const patience = setTimeout(killed, options.graceMs ?? stopGraceMs)
      try {
        return await exited
      } finally {
        clearTimeout(patience)
      }
    },
  }
}

/** Says how a process ended, for people: "exited with code 1". */
export function describeExit({ code, signal }: Exit): string {
  return signal ? `was ended by ${signal}` : `exited with code ${code}`
}

function spawned(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${name} could not be started: ${error.message}`)))
    child.once('spawn', () => resolve(child.pid as number))
  })
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // no such group any more: it is gone already
  }
}
