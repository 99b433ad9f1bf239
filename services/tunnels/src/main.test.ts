import { fileURLToPath } from 'node:url'
import { type RunningProcess, startProcess } from '@instatunnel/local/process'
import { freshNats } from '@instatunnel/test/nats'
import { describe, expect, it } from 'vitest'
import { made } from '../test/made.ts'
import { type Launch, startTunnels } from '../test/start-tunnels.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const nats = await freshNats()
const settings = { NATS_URL: nats.url, NATS_SEED: nats.seeds.tunnels, LOG_LEVEL: 'trace' }

/** Starts the service as a process; the first line that it logs names the port. */
async function startMain(env: Readonly<Record<string, string>>) {
  const child = await startProcess({
    name: 'tunnels',
    command: process.execPath,
    args: [main],
    env: { ...env },
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.onLine((line) => line.includes('"serving"') && resolve(JSON.parse(line).port))
    child.exited.then(() => reject(new Error(child.lines().join('\n'))))
  })
  return { child, port }
}

describe('the process', () => {
  it('loses no event to a SIGKILL between commit and publish, and tells it once', async () => {
    const children: RunningProcess[] = []
    const launch: Launch = async (environment) => {
      const { child, port } = await startMain(environment)
      children.push(child)
      return { port, close: () => child.kill().then(() => {}) }
    }
    const first = await startTunnels(settings, {}, launch)
    const observer = await nats.observe()
    await nats.kill() // from here on, what is committed cannot be published
    const { id } = await made(first.user())
    await first.close()
    await nats.start()
    expect(observer.events).toEqual([])

    const second = await startTunnels(
      { ...settings, DATABASE_URL: first.environment.DATABASE_URL ?? '' },
      {},
      launch,
    )
    const event = await observer.event(({ headers }) => headers['ce-subject'] === id)
    expect(event.type).toBe('instatunnel.events.tunnel.created')
    const waiting = () => second.sql`select from outbox`.then((rows) => rows.length)
    await expect.poll(waiting, { timeout: 10_000 }).toBe(0)
    await second.close()
    expect(observer.events.filter(({ headers }) => headers['ce-subject'] === id)).toHaveLength(1)
  })

  it('ends with 0 on SIGTERM, and has logged no secret', async () => {
    let child: RunningProcess | undefined
    const tunnels = await startTunnels(settings, {}, async (environment) => {
      const started = await startMain(environment)
      child = started.child
      return { port: started.port, close: async () => {} }
    })
    const user = tunnels.user()
    const { id, token } = await made(user)
    const { token: second } = await user.regenerateToken({ id })
    await tunnels.sql`update tunnels set token_sealed = 'x' where id = ${id}`
    await expect(user.getTunnel({ id })).rejects.toThrow()
    await tunnels.close()

    expect(await child?.stop()).toEqual({ code: 0, signal: null })
    const lines = child?.lines() ?? []
    expect(lines.filter((line) => JSON.parse(line).level === 'error')).toHaveLength(1)
    const logged = lines.join('\n')
    const { TOKEN_SECRET = '', TOKEN_PEPPERS = '', SERVICE_KEY = '', NATS_SEED = '' } = tunnels.environment
    const secrets = [token, second, TOKEN_SECRET, JSON.parse(TOKEN_PEPPERS).p1, NATS_SEED]
    for (const secret of [...secrets, SERVICE_KEY.split('\n')[1]]) expect(logged).not.toContain(secret)
  })

  it('stops with the name of a setting at fault, and not its value', async () => {
    const child = await startProcess({
      name: 'tunnels',
      command: process.execPath,
      args: [main],
      env: { DATABASE_URL: 'mysql://secret' },
    })
    expect(await child.exited).toEqual({ code: 1, signal: null })
    const said = child.lines().join('\n')
    expect(said).toContain('Settings: DATABASE_URL: must be a postgres:// URL')
    expect(said).not.toContain('mysql://secret')
  })
})
