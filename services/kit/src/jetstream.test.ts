import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Nats, startNats } from '@instatunnel/local/nats'
import { nanos } from '@nats-io/transport-node'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connectNats } from './jetstream.ts'

const DAY_MS = 24 * 60 * 60 * 1000

async function ownNats() {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-jetstream-'))
  const started = [await startNats({ dataDir, port: 0 })]
  onTestFinished(async () => {
    for (const server of started) await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  /** The same users and streams on another port. */
  const restartOn = async (port: number) => {
    const server = await startNats({ dataDir, port })
    started.push(server)
    return server
  }
  return { ...(started[0] as Nats), restartOn }
}

function open(server: { url: string }, seed: string) {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const nats = connectNats({ url: server.url, seed, name: 'keys', log })
  onTestFinished(() => nats.close())
  return { ...nats, logged }
}

describe('connectNats', () => {
  it('makes the streams, bounded in bytes and in age, that take an id once within a day', async () => {
    const server = await ownNats()
    const { jsm } = await open(server, server.seeds.keys).ready
    const bounds = { duplicate_window: nanos(DAY_MS), max_bytes: 256 * 1024 * 1024, retention: 'limits' }
    expect((await jsm.streams.info('INSTATUNNEL')).config).toMatchObject({
      ...bounds,
      subjects: [
        'instatunnel.events.user.>',
        'instatunnel.events.session.>',
        'instatunnel.events.key.>',
        'instatunnel.events.tunnel.>',
      ],
      max_age: nanos(7 * DAY_MS),
      discard: 'old',
      storage: 'file',
    })
    expect((await jsm.streams.info('INSTATUNNEL_USAGE')).config).toMatchObject({
      ...bounds,
      subjects: ['instatunnel.events.usage.>'],
      max_age: nanos(2 * DAY_MS),
      discard: 'old',
      storage: 'file',
    })
  })

  it('is content with streams that are there, made by many at once', async () => {
    const server = await ownNats()
    const { auth, keys, tunnels } = server.seeds
    const all = [auth, keys, tunnels, auth, keys, tunnels].map((seed) => open(server, seed))
    await Promise.all(all.map(({ ready }) => ready))
    await Promise.all(all.map((nats) => nats.ensureStreams()))
    expect(all.flatMap(({ logged }) => logged)).toEqual([])
  })

  it('brings streams of an older configuration up to date', async () => {
    const server = await ownNats()
    const { jsm } = await open(server, server.seeds.keys).ready
    await jsm.streams.update('INSTATUNNEL', { max_age: nanos(DAY_MS) })
    await open(server, server.seeds.auth).ready
    expect((await jsm.streams.info('INSTATUNNEL')).config.max_age).toBe(nanos(7 * DAY_MS))
  })

  it('connects when NATS comes, however late', async () => {
    const server = await ownNats()
    await server.stop()
    const nats = open(server, server.seeds.keys)
    await server.start()
    const { jsm } = await nats.ready
    expect((await jsm.streams.info('INSTATUNNEL')).config.name).toBe('INSTATUNNEL')
  })

  it('says why a server refuses it, shows no secret, and connects when the server has been told of it', async () => {
    const [stranger, friend] = [await ownNats(), await ownNats()]
    await friend.stop()
    const nats = open(stranger, friend.seeds.keys)
    await expect.poll(() => nats.logged.join(''), { timeout: 10_000 }).toMatch(/authorization/i)
    expect(nats.logged).toHaveLength(1)
    expect(nats.logged.join('')).not.toContain(friend.seeds.keys)
    await stranger.stop()
    await friend.restartOn(stranger.port)
    expect(await nats.ready).toHaveProperty('jsm')
  })

  it('comes back to a server that refused it for a while', async () => {
    const [stranger, friend] = [await ownNats(), await ownNats()]
    const nats = open(friend, friend.seeds.keys)
    const { jsm } = await nats.ready
    await friend.stop()
    await stranger.stop()
    const refusing = await stranger.restartOn(friend.port)
    const refusals = () =>
      refusing
        .process()
        .lines()
        .filter((line) => /authentication error/i.test(line)).length
    await expect.poll(refusals, { timeout: 10_000 }).toBeGreaterThan(3)
    await refusing.stop()
    await friend.start()
    const info = () => jsm.streams.info('INSTATUNNEL').then(({ config }) => config.name, String)
    await expect.poll(info, { timeout: 10_000 }).toBe('INSTATUNNEL')
  })

  it('closes while NATS was never there, and then connects no more', async () => {
    const server = await ownNats()
    await server.stop()
    const nats = open(server, server.seeds.keys)
    await nats.close()
    await server.start()
    await expect(nats.ready).rejects.toMatchObject({ name: 'AbortError' })
  })
})
