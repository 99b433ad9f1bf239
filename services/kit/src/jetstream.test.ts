import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type Nats, startNats } from '@instatunnel/local/nats'
import { portOrFree } from '@instatunnel/local/ports'
import { startProcess } from '@instatunnel/local/process'
import { serverBinary } from '@instatunnel/local/server-binary'
import { makeAuthority } from '@instatunnel/test/certificates'
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

/** A NATS as others run it: with these lines in its configuration. Resolves with its port. */
async function foreignNats(configuration: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-jetstream-'))
  const port = await portOrFree(0)
  const file = join(folder, 'nats.conf')
  const storage = `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${JSON.stringify(folder)} }\n`
  await writeFile(file, storage + configuration)
  const command = await serverBinary('nats-server')
  const server = await startProcess({ name: 'nats', command, args: ['--config', file], cwd: folder })
  onTestFinished(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await expect.poll(() => server.lines().join(), { timeout: 10_000 }).toContain('Server is ready')
  return port
}

function open(server: { url: string; seeds?: Nats['seeds'] }, seed?: string) {
  // Its answers come in under the user's name.
  const [name = 'keys'] = Object.entries(server.seeds ?? {}).find(([, each]) => each === seed) ?? []
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const nats = connectNats({ url: server.url, seed, name, log })
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
    const asAuth = open(server, server.seeds.auth)
    await (await asAuth.ready).jsm.streams.update('INSTATUNNEL', { max_age: nanos(DAY_MS) })
    await asAuth.ensureStreams()
    expect((await jsm.streams.info('INSTATUNNEL')).config.max_age).toBe(nanos(7 * DAY_MS))
    expect(asAuth.logged).toEqual([])
  })

  it('leaves a stream as it is that it may not change, and says so once', async () => {
    const server = await ownNats()
    const { jsm } = await open(server, server.seeds.auth).ready
    await jsm.streams.update('INSTATUNNEL', { max_age: nanos(DAY_MS) })
    const asKeys = open(server, server.seeds.keys)
    await asKeys.ready
    await asKeys.ensureStreams()
    expect((await jsm.streams.info('INSTATUNNEL')).config.max_age).toBe(nanos(DAY_MS))
    expect(asKeys.logged).toHaveLength(1)
    expect(JSON.parse(asKeys.logged[0] ?? '')).toMatchObject({ level: 40, stream: 'INSTATUNNEL' })
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

  describe('a NATS of one’s own', () => {
    const password = 'p@ss:w/rd#%?'
    const user = `authorization { user: "me@work", password: ${JSON.stringify(password)} }`
    const mine = `${encodeURIComponent('me@work')}:${encodeURIComponent(password)}@`

    it('takes the user and password of the URL, and makes the streams', async () => {
      const nats = open({ url: `nats://${mine}127.0.0.1:${await foreignNats(user)}` })
      expect((await (await nats.ready).jsm.streams.info('INSTATUNNEL')).config.name).toBe('INSTATUNNEL')
      expect(nats.logged).toEqual([])
    })

    it('takes the token of the URL', async () => {
      const port = await foreignNats('authorization { token: "t0ken" }')
      expect(await open({ url: `nats://t0ken@127.0.0.1:${port}` }).ready).toHaveProperty('jsm')
    })

    it('says that a password is wrong, without showing it', async () => {
      const port = await foreignNats(user)
      const nats = open({ url: `nats://me%40work:hunter2@127.0.0.1:${port}` })
      await expect.poll(() => nats.logged.join(''), { timeout: 10_000 }).toMatch(/authorization/i)
      expect(nats.logged.join('')).not.toContain('hunter2')
    })

    it('takes the seed where there is one', async () => {
      const server = await ownNats()
      const url = server.url.replace('//', '//nobody:hunter2@')
      expect(await open({ url }, server.seeds.keys).ready).toHaveProperty('jsm')
    })

    it('speaks TLS to tls://, with those alone whose certificate is vouched for', async () => {
      const authority = await makeAuthority()
      onTestFinished(() => authority.remove())
      const { certFile, keyFile, caFile } = await authority.sign('nats', 'IP:127.0.0.1')
      const tls = `tls { cert_file: ${JSON.stringify(certFile)}, key_file: ${JSON.stringify(keyFile)} }`
      const port = await foreignNats(`${user}\n${tls}`)
      const nats = open({ url: `tls://${mine}127.0.0.1:${port}` })
      await expect
        .poll(() => nats.logged.join(''), { timeout: 10_000 })
        .toMatch(/unable to verify|self-signed|issuer/i)
      const known = getCACertificates('default')
      onTestFinished(() => setDefaultCACertificates(known))
      setDefaultCACertificates([...known, await readFile(caFile, 'utf8')])
      expect((await nats.ready).connection.info?.tls_required).toBe(true)
    })

    it('sends nothing to a server that asks for no TLS when the URL does', async () => {
      const nats = open({ url: `tls://${mine}127.0.0.1:${await foreignNats(user)}` })
      await expect.poll(() => nats.logged.join(''), { timeout: 10_000 }).toMatch(/does not support 'tls'/)
      await nats.close()
      await expect(nats.ready).rejects.toThrow()
    })

    for (const url of ['nats://me:hunter2@:4222', 'https://me:hunter2@host', 'nats://me:hunter2%@host', '']) {
      it(`refuses ${url.replace('hunter2', '…') || 'nothing'} as a URL, without showing it`, () => {
        let refusal: Error | undefined
        try {
          open({ url })
        } catch (error) {
          refusal = error as Error
        }
        expect(refusal).toMatchObject({ message: expect.stringContaining('NATS_URL') })
        expect(JSON.stringify({ ...refusal }) + refusal?.stack).not.toContain('hunter2')
      })
    }
  })
})
