import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBucket } from '@instatunnel/kit/route-bucket'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Nats, startNats } from './nats.ts'
import { inboxOf, type NatsUser } from './nats-users.ts'

let dataDir: string
let nats: Nats
const connections: NatsConnection[] = []
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-nats-test-'))
  nats = await startNats({ dataDir, port: 0 })
})
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()))
  await nats.stop()
  await rm(dataDir, { recursive: true, force: true })
})

async function as(user: NatsUser): Promise<NatsConnection> {
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(nats.seeds[user]))
  const connection = await connect({ servers: nats.url, authenticator, inboxPrefix: inboxOf(user) })
  connections.push(connection)
  return connection
}

/** The subject that the server refused next, once it has said so. */
async function refusal(connection: NatsConnection): Promise<string> {
  for await (const status of connection.status()) {
    if (status.type === 'error') return status.error.message
  }
  throw new Error('the connection ended without a refusal')
}

async function expectRefused(cases: readonly (readonly [NatsUser, string])[]): Promise<void> {
  for (const [user, subject] of cases) {
    const connection = await as(user)
    const refused = refusal(connection)
    connection.publish(subject)
    expect(await refused).toContain(subject)
  }
}

describe('startNats', () => {
  it('admits no one without a seed', async () => {
    await expect(connect({ servers: nats.url, reconnect: false })).rejects.toMatchObject({
      name: 'AuthorizationError',
    })
  })

  it('refuses a service the events of another', async () => {
    const connection = await as('tunnels')
    const refused = refusal(connection)
    connection.publish('instatunnel.events.user.registered')
    expect(await refused).toContain('instatunnel.events.user.registered')
  })

  it('lets no service delete or empty a stream, and the observer publish nothing', async () => {
    await expectRefused([
      ['auth', '$JS.API.STREAM.DELETE.INSTATUNNEL'],
      ['auth', '$JS.API.STREAM.PURGE.INSTATUNNEL'],
      ['auth', '$JS.API.STREAM.MSG.DELETE.INSTATUNNEL'],
      // Whoever makes a stream may have it copy another.
      ['relay', '$JS.API.STREAM.CREATE.KV_relay_routes'],
      ['relay', '$JS.API.STREAM.CREATE.INSTATUNNEL'],
      ['relay', '$JS.API.STREAM.CREATE.INSTATUNNEL_USAGE'],
      ['relay', '$JS.API.STREAM.DELETE.KV_relay_routes'],
      ['relay', '$JS.API.STREAM.UPDATE.KV_relay_routes'],
      ['tunnels', '$JS.API.STREAM.PURGE.KV_relay_routes'],
      ['observer', 'instatunnel.events.key.created'],
    ])
  })

  it('lets none but relays say what passes through tunnels, and who carries them', async () => {
    for (const user of ['auth', 'keys', 'tunnels', 'observer'] as const) {
      await expectRefused([
        [user, 'instatunnel.events.tunnel.connected'],
        [user, 'instatunnel.events.tunnel.disconnected'],
        [user, 'instatunnel.events.usage.tunnel'],
        [user, '$KV.relay_routes.relay.relay_1'],
      ])
    }
    await expectRefused([
      ['relay', 'instatunnel.events.tunnel.deleted'],
      ['relay', 'instatunnel.events.usage.key'],
      ['relay', 'instatunnel.events.key.revoked'],
    ])
  })

  it('keeps routes that relays put and tunnels hears of', async () => {
    const bucket = async (user: NatsUser) => openBucket(jetstream(await as(user)), user === 'tunnels')
    const told = await (await bucket('tunnels')).watch({ key: 'tunnel.>' })
    await (await bucket('relay')).put('tunnel.tun_1.agent', 'here')
    for await (const { key } of told) {
      expect(key).toBe('tunnel.tun_1.agent')
      break
    }
  })

  it.each([
    ['to cut connections', 'instatunnel.relay.cut'],
    ['to go by a new name', 'instatunnel.relay.renamed'],
  ])('lets tunnels alone ask relays %s, and every relay answer', async (_, cut) => {
    await expectRefused([
      ['auth', cut],
      ['keys', cut],
      ['relay', cut],
    ])
    const keys = await as('keys')
    const refused = refusal(keys)
    keys.subscribe(cut)
    expect(await refused).toContain(cut)

    for (const name of ['one', 'two']) {
      const relay = await as('relay')
      relay.subscribe(cut, { callback: (_, message) => void message.respond(name) })
      await relay.flush()
    }
    const answers = []
    const asked = await (await as('tunnels')).requestMany(cut, '{}', { strategy: 'count', maxMessages: 2 })
    for await (const answer of asked) answers.push(answer.string())
    expect(answers.sort()).toEqual(['one', 'two'])
  })

  it('lets keys and auth alone have auth forget and settle, and auth alone say who it is', async () => {
    const of = (what: string) => `instatunnel.auth.${what}`
    for (const user of ['tunnels', 'relay', 'observer'] as const)
      await expectRefused(
        ['here', 'roll', 'evict', 'recall', 'limits.auth_1'].map((what) => [user, of(what)]),
      )
    await expectRefused([
      ['keys', of('here')],
      ['keys', of('limits.auth_1')],
      ['auth', of('recall')],
    ])
    const keys = await as('keys')
    for (const subject of ['evict', 'recall', 'limits.auth_1'].map(of)) {
      const refused = refusal(keys)
      keys.subscribe(subject)
      expect(await refused).toContain(subject)
    }

    for (const name of ['one', 'two']) {
      const auth = await as('auth')
      for (const subject of ['evict', 'recall'].map(of))
        auth.subscribe(subject, { callback: (_, message) => void message.respond(name) })
      await auth.flush()
    }
    for (const subject of ['evict', 'recall'].map(of)) {
      const answers = []
      const asked = await keys.requestMany(subject, '{}', { strategy: 'count', maxMessages: 2 })
      for await (const answer of asked) answers.push(answer.string())
      expect(answers.sort()).toEqual(['one', 'two'])
    }
  })

  it('lets keys and tunnels make a stream, but not empty one by its bounds', async () => {
    const subjects = ['instatunnel.events.usage.>']
    const asTunnels = await jetstreamManager(await as('tunnels'), { checkAPI: false })
    await asTunnels.streams.add({ name: 'INSTATUNNEL_USAGE', subjects })
    const auth = await as('auth')
    for (let i = 0; i < 3; i++) await jetstream(auth).publish('instatunnel.events.usage.key')
    for (const user of ['tunnels', 'keys', 'observer'] as const) {
      const { streams } = await jetstreamManager(await as(user), { checkAPI: false })
      await expect(streams.update('INSTATUNNEL_USAGE', { max_msgs: 1 })).rejects.toThrow(/permissions/i)
      await expect(streams.add({ name: 'INSTATUNNEL_USAGE', subjects, max_msgs: 1 })).rejects.toThrow()
    }
    const { streams } = await jetstreamManager(auth, { checkAPI: false })
    expect((await streams.info('INSTATUNNEL_USAGE')).state.messages).toBe(3)
    await streams.update('INSTATUNNEL_USAGE', { subjects, max_msgs: 100 })
  })

  it('keeps streams over a SIGKILL, and seeds where only their owner can read them', async () => {
    const auth = await as('auth')
    const manager = await jetstreamManager(auth, { checkAPI: false })
    await manager.streams.add({ name: 'INSTATUNNEL', subjects: ['instatunnel.events.user.>'] })
    await jetstream(auth).publish('instatunnel.events.user.registered')
    await nats.kill()
    await nats.start()
    const again = await jetstreamManager(await as('observer'), { checkAPI: false })
    expect((await again.streams.info('INSTATUNNEL')).state.messages).toBe(1)
    expect((await stat(join(dataDir, 'secrets', 'nats-auth.seed'))).mode & 0o777).toBe(0o600)
  })
})
