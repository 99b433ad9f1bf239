import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from './config.ts'
import { portOrFree } from './ports.ts'
import { startProcess } from './process.ts'
import { serverBinary } from './server-binary.ts'
import { startStack } from './stack.ts'

const freePorts = Object.fromEntries(
  ['', 'AUTH_', 'KEYS_', 'TUNNELS_', 'NATS_', 'POSTGRES_'].map((part) => [`INSTATUNNEL_${part}PORT`, '0']),
)

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-local-stack-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** As `npm start` would, with these settings. */
async function start(settings: Record<string, string>, more: Partial<Parameters<typeof startStack>[0]> = {}) {
  const dataDir = await temporaryFolder()
  const config = readConfig({ ...freePorts, INSTATUNNEL_DATA: dataDir, ...settings })
  return startStack({ config, durable: false, ...more })
}

/** The URL of a server that takes connections and never says a word. */
async function silentPostgres(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `postgres://127.0.0.1:${(server.address() as AddressInfo).port}/silent`
}

describe('startStack', { timeout: 90_000 }, () => {
  it('names a service that dies after it began to serve and before all is up, with its last lines', async () => {
    // Envoy asks for its health: the first to connect.
    const dying = `import { Server } from 'node:net'
      const emit = Server.prototype.emit
      Server.prototype.emit = function (event, ...rest) {
        if (event !== 'connection') return emit.call(this, event, ...rest)
        console.error('out of luck')
        process.exit(3)
      }`
    const env = { keys: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(dying)}` } }
    const begun = Date.now()
    await expect(start({}, { env })).rejects.toThrow(
      /^keys exited with code 3:\n[\s\S]*"serving"[\s\S]*out of luck/,
    )
    expect(Date.now() - begun).toBeLessThan(30_000)
  })

  it('names a service that does not come to serve, and waits for no other', async () => {
    const env = { tunnels: { TOKEN_SECRET: 'short' }, auth: { DATABASE_URL: await silentPostgres() } }
    const begun = Date.now()
    await expect(start({}, { env })).rejects.toThrow(
      /^tunnels exited with code 1 before it served:\n[\s\S]*TOKEN_SECRET/,
    )
    expect(Date.now() - begun).toBeLessThan(30_000)
  })

  it('works with a NATS of one’s own that asks for a password', async () => {
    const folder = await temporaryFolder()
    const port = await portOrFree(0)
    const file = join(folder, 'nats.conf')
    const storage = `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${JSON.stringify(folder)} }\n`
    await writeFile(file, `${storage}authorization { user: me, password: "p@ss" }\n`)
    const command = await serverBinary('nats-server')
    const nats = await startProcess({ name: 'nats', command, args: ['--config', file], cwd: folder })
    onTestFinished(async () => void (await nats.stop()))

    const stack = await start({ NATS_URL: `nats://me:p%40ss@127.0.0.1:${port}` })
    onTestFinished(() => stack.stop())
    const answer = await fetch(`${stack.gateway.url}/v1/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'me@example.com', password: 'correct horse battery' }),
    })
    expect(answer.status).toBe(200)
    const connection = await connect({ servers: `127.0.0.1:${port}`, user: 'me', pass: 'p@ss' })
    onTestFinished(() => connection.close())
    const { streams } = await jetstreamManager(connection)
    const told = () =>
      streams
        .info('INSTATUNNEL', { subjects_filter: '>' })
        .then(({ state }) => Object.keys(state.subjects ?? {}))
    await expect.poll(told, { timeout: 10_000 }).toContain('instatunnel.events.user.registered')
  })
})
