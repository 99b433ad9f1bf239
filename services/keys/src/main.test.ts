import { fileURLToPath } from 'node:url'
import { digestOf } from '@instatunnel/kit/secret'
import { type RunningProcess, startProcess } from '@instatunnel/local/process'
import { freshNats } from '@instatunnel/test/nats'
import { describe, expect, it } from 'vitest'
import { made } from '../test/made.ts'
import { type Launch, newSessionId, startKeys } from '../test/start-keys.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const nats = await freshNats()
const settings = { NATS_URL: nats.url, NATS_SEED: nats.seeds.keys, LOG_LEVEL: 'trace' }

/** Starts the service as a process, kept in `children`; the line that it logs last names the port. */
const asProcess =
  (children: RunningProcess[]): Launch =>
  async (env) => {
    const child = await startProcess({
      name: 'keys',
      command: process.execPath,
      args: [main],
      env: { ...env },
    })
    children.push(child)
    const port = await new Promise<number>((resolve, reject) => {
      child.onLine((line) => line.includes('"serving"') && resolve(JSON.parse(line).port))
      child.exited.then(() => reject(new Error(child.lines().join('\n'))))
    })
    return { port, close: () => child.kill().then(() => {}) }
  }

describe('the process', () => {
  it('loses no event to a SIGKILL between commit and publish, and tells it once', async () => {
    const first = await startKeys(settings, {}, asProcess([]))
    const observer = await nats.observe()
    await nats.kill() // from here on, what is committed cannot be published
    const { id } = await made(first.user())
    await first.close()
    await nats.start()
    expect(observer.events).toEqual([])

    const { DATABASE_URL = '' } = first.environment
    const second = await startKeys({ ...settings, DATABASE_URL }, {}, asProcess([]))
    const told = () => observer.events.filter(({ headers }) => headers['ce-subject'] === id)
    await observer.event(({ headers }) => headers['ce-subject'] === id)
    const waiting = () => second.sql`select from outbox`.then((rows) => rows.length)
    await expect.poll(waiting, { timeout: 10_000 }).toBe(0)
    await second.close()
    expect(told().map(({ type }) => type)).toEqual(['instatunnel.events.key.created'])
  })

  it('ends with 0 on SIGTERM, and has logged no secret', async () => {
    const children: RunningProcess[] = []
    const keys = await startKeys(settings, {}, asProcess(children))
    const user = keys.user()
    const { id, secret } = await made(user)
    await user.verifyKey({ key: secret })
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const session = await keys.directory.createSessionKey(request)
    await keys.sql`alter table api_keys rename column masked to broken`
    await expect(user.getKey({ id })).rejects.toThrow('Something went wrong on our side.')
    await expect(user.createKey({ name: 'x' })).rejects.toThrow('Something went wrong on our side.')

    const [child] = children
    expect(await child?.stop()).toEqual({ code: 0, signal: null })
    await keys.close()
    const lines = child?.lines() ?? []
    expect(lines.filter((line) => JSON.parse(line).level === 'error')).toHaveLength(2)
    const { KEY_PEPPERS = '', SERVICE_KEY = '', NATS_SEED = '' } = keys.environment
    const settingsKept = [JSON.parse(KEY_PEPPERS).p1, SERVICE_KEY.split('\n')[1], NATS_SEED]
    const secrets = [
      secret,
      session.key,
      digestOf(secret).toString('hex'),
      digestOf(secret).toString('base64'),
    ]
    for (const hidden of [...settingsKept, ...secrets]) expect(lines.join('\n')).not.toContain(hidden)
  })

  it('stops with the name of a setting at fault, and not its value', async () => {
    const env = { DATABASE_URL: 'mysql://secret' }
    const child = await startProcess({ name: 'keys', command: process.execPath, args: [main], env })
    expect(await child.exited).toEqual({ code: 1, signal: null })
    const said = child.lines().join('\n')
    expect(said).toContain('Settings: DATABASE_URL: must be a postgres:// URL')
    expect(said).not.toContain('mysql://secret')
  })
})
