import { type ChildProcess, spawn } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { bin, type Home } from './home.ts'

/** Nothing that a command says takes so long. */
const patienceMs = 15_000

/** What `instatunnel PORT --json` says in one line. */
export interface Told {
  readonly event: string
  readonly [field: string]: unknown
}

/** A command that runs until it is told to stop. */
export interface RunningCommand {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  /** Resolves once standard output or standard error has this. */
  says(text: string | RegExp): Promise<void>
  /** With --json: the nth line of an event, from 1 on. */
  told(event: string, nth?: number): Promise<Told>
  /** Sends a signal, Ctrl-C's by default, and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  readonly exited: Promise<number | null>
}

/** Starts a command in somebody's home; it is gone after the test. */
export function startCommand(home: Home, args: readonly string[], env: object = {}): RunningCommand {
  const child = spawn(bin, args, { env: { ...home.env, ...env } })
  let stdout = ''
  let stderr = ''
  let ended = false
  let changed = Promise.withResolvers<void>()
  const tell = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    tell()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    tell()
  })
  const exited = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      ended = true
      tell()
      resolve(code)
    })
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const until = async <T>(look: () => T | undefined, what: string): Promise<T> => {
    const late = AbortSignal.timeout(patienceMs)
    const tooLate = new Promise<void>((resolve) => late.addEventListener('abort', () => resolve()))
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (ended || late.aborted) throw new Error(`no ${what}; it said:\n${stdout}\n${stderr}`)
      await Promise.race([changed.promise, tooLate])
    }
  }
  const lines = () => stdout.split('\n').slice(0, -1)
  return {
    child,
    exited,
    stdout: () => stdout,
    stderr: () => stderr,
    says: async (text) => {
      const isSaid = (all: string) => (typeof text === 'string' ? all.includes(text) : text.test(all))
      await until(() => isSaid(`${stdout}\n${stderr}`) || undefined, String(text))
    },
    told: (event, nth = 1) =>
      until(() => {
        const all = lines().map((line): Told => JSON.parse(line))
        return all.filter((told) => told.event === event)[nth - 1]
      }, event),
    stop: (signal = 'SIGINT') => {
      child.kill(signal)
      return exited
    },
  }
}
