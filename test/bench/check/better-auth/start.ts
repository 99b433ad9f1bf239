import { copyFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { portOrFree } from '@instatunnel/local/ports'
import type { RunningProcess } from '@instatunnel/local/process'
import postgres from 'postgres'
import { startMeasured } from '../../cores.ts'
import { installedPackages } from '../../tools.ts'
import { waitForPort } from '../../wait.ts'
import { names } from '../goals.ts'

/** Its packages, and those that they ask for as peers in versions that fit one another. */
const versions = {
  'better-auth': '1.7.5',
  '@better-auth/api-key': '1.7.5',
  '@better-auth/core': '1.7.5',
  '@better-auth/utils': '0.4.2',
  'better-call': '1.4.0',
  pg: '8.23.1',
}

/** Above what any run counts: by itself the plugin admits ten calls a day. */
const rateLimit = { enabled: true, timeWindow: 60_000, maxRequests: 1_000_000_000 }

/** What its plugin is told: nothing; to keep no key in the database; and, fastest, to count no calls either. */
const configurations = {
  [names.betterAuth]: { rateLimit },
  [names.secondary]: { storage: 'secondary-storage', rateLimit },
  [names.fastest]: { storage: 'secondary-storage', rateLimit: { enabled: false } },
} as const

/** A way to use it. */
export type Configuration = keyof typeof configurations

/** A server that verifies one key. */
export interface BetterAuth {
  readonly port: number
  readonly pid: number
  readonly key: string
  stop(): Promise<unknown>
}

/** Starts it on a database of its own of this Postgres. */
export async function startBetterAuth(name: Configuration, postgresUrl: string): Promise<BetterAuth> {
  const folder = dirname(await installedPackages(versions))
  const script = join(folder, 'server.mjs')
  await copyFile(fileURLToPath(new URL('./server.mjs', import.meta.url)), script)
  const port = await portOrFree(0)
  const running = await startMeasured({
    name,
    command: process.execPath,
    args: [script],
    env: {
      DATABASE_URL: await newDatabase(postgresUrl, `better_auth_${port}`),
      PORT: `${port}`,
      SETTINGS: JSON.stringify(configurations[name]),
    },
  })
  await waitForPort(port, running)
  return { port, pid: running.pid, key: keyIn(running), stop: running.stop }
}

async function newDatabase(url: string, name: string): Promise<string> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await sql.unsafe(`create database ${name}`)
  } finally {
    await sql.end()
  }
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}

function keyIn(running: RunningProcess): string {
  const line = running.lines().find((each) => each.startsWith('{"key":'))
  if (!line) throw new Error(`better-auth made no key:\n${running.lines().join('\n')}`)
  return JSON.parse(line).key
}
