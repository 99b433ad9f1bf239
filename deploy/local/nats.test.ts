import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Nats, startNats } from './nats.ts'
import type { NatsUser } from './nats-users.ts'

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
  const connection = await connect({ servers: nats.url, authenticator })
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
    for (const [user, subject] of [
      ['auth', '$JS.API.STREAM.DELETE.INSTATUNNEL'],
      ['auth', '$JS.API.STREAM.PURGE.INSTATUNNEL'],
      ['auth', '$JS.API.STREAM.MSG.DELETE.INSTATUNNEL'],
      ['observer', 'instatunnel.events.key.created'],
    ] as const) {
      const connection = await as(user)
      const refused = refusal(connection)
      connection.publish(subject)
      expect(await refused).toContain(subject)
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
