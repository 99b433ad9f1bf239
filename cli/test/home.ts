import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** The command as people start it. */
export const bin = join(import.meta.dirname, '../bin/instatunnel')

/** No command takes so long; one that does is ended, so that the test hears of it. */
const runTimeoutMs = 15_000

/** What a finished command left. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What goes along with a run. */
export interface RunOptions {
  /** Written to standard input, which otherwise is empty. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Somebody's home, empty at first, in which commands are run. */
export interface Home {
  readonly credentialsFile: string
  /** The environment of every run; nothing else of ours is in it. */
  readonly env: Readonly<Record<string, string>>
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>
  remove(): Promise<void>
}

/** A new home; the API is the one at this address. */
export async function openHome(api: string): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-home-'))
  const configHome = join(folder, 'config')
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    XDG_CONFIG_HOME: configHome,
    INSTATUNNEL_API: api,
  }
  return {
    credentialsFile: join(configHome, 'instatunnel/credentials.json'),
    env,
    run: (args, options = {}) => run(args, { ...options, env: { ...env, ...options.env } }),
    remove: () => rm(folder, { recursive: true }),
  }
}

async function run(args: readonly string[], { input = '', env = {} }: RunOptions): Promise<Outcome> {
  const child = spawn(bin, args, { env, timeout: runTimeoutMs })
  child.stdin.on('error', () => {}) // a command need not read what is written
  child.stdin.end(input)
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const [code, stdout, stderr] = await Promise.all([exited, text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}
