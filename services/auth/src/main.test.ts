import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freshDatabase } from '@instatunnel/test/database'
import { newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it, onTestFinished } from 'vitest'
import { natsOf } from '../test/nats-of.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const keys = newKeyPair()

async function settings(): Promise<Record<string, string>> {
  const databaseUrl = await freshDatabase()
  // Its own: what other replicas do there, this one would tell of in its log.
  const { release, ...ownNats } = await natsOf(databaseUrl)
  onTestFinished(release)
  return {
    DATABASE_URL: databaseUrl,
    ...ownNats,
    LISTEN: '127.0.0.1:0',
    CHECK_LISTEN: '127.0.0.1:0',
    AUTH_SECRET: randomBytes(32).toString('base64'),
    SERVICE_KEY: keys.privateKey,
    SERVICE_PUBLIC_KEYS: JSON.stringify({ auth: keys.publicKey }),
  }
}

/** Runs auth as the process that it is; `said` is all that it has written. */
function run(environment: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += bytes))
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  return { ended, said: () => said, signal: (name: NodeJS.Signals) => child.kill(name) }
}

describe('main', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('serves until %s, then closes and ends well', async (name) => {
    const auth = run(await settings())
    await expect.poll(auth.said, { timeout: 10_000 }).toContain('"msg":"serving"')
    auth.signal(name)
    expect(await auth.ended).toBe(0)
    const lines = auth
      .said()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ level, service, msg }) => ({ level, service, msg }))).toEqual(
      ['serving', 'closing', 'closed'].map((msg) => ({ level: 'info', service: 'auth', msg })),
    )
    expect(lines[0].port).toBeGreaterThan(0)
  })

  it('ends at once where a setting is missing, naming it', async () => {
    const { AUTH_SECRET: _, ...rest } = await settings()
    const auth = run(rest)
    expect(await auth.ended).toBe(1)
    expect(auth.said()).toContain('Settings: AUTH_SECRET is not set')
    expect(auth.said()).not.toContain(new URL(rest.DATABASE_URL as string).password)
  })

  it('ends where it cannot start, saying why and no secret', async () => {
    const given: Record<string, string> = {
      ...(await settings()),
      DATABASE_URL: 'postgres://auth:s3cret-word@127.0.0.1:1/x',
    }
    const auth = run(given)
    expect(await auth.ended).toBe(1)
    expect(auth.said()).toContain('"msg":"could not start"')
    expect(auth.said()).toContain('ECONNREFUSED')
    for (const secret of ['s3cret-word', given.AUTH_SECRET as string])
      expect(auth.said()).not.toContain(secret)
  })
})
