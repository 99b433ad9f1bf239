import { freshNats } from '@instatunnel/test/nats'
import { natsUser } from '@instatunnel/test/nats-user'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type Msg, type NatsConnection, nanos } from '@nats-io/transport-node'
import { afterAll, describe, expect, it } from 'vitest'
import { openBucket } from './route-bucket.ts'
import { isSpoken } from './spoken.ts'

const server = await freshNats()
const connections: NatsConnection[] = []
afterAll(() => Promise.all(connections.map((connection) => connection.close())))

const SUBJECT = 'instatunnel.auth.here'
const LIE = '{"replica":"auth_ghost"}'

async function as(user: 'auth' | 'keys' | 'tunnels' | 'relay'): Promise<NatsConnection> {
  const connection = await connect(natsUser(user, server.url, server.seeds[user]))
  connections.push(connection)
  return connection
}

/** What auth hears next, once somebody has said it, or had it delivered. */
async function heard(say: () => Promise<void>): Promise<Msg> {
  const auth = await as('auth')
  const { promise, resolve } = Promise.withResolvers<Msg>()
  auth.subscribe(SUBJECT, { callback: (_, message) => resolve(message) })
  await auth.flush()
  await say()
  return promise
}

describe('isSpoken', () => {
  it('is true of what was said on the subject, and on no other', async () => {
    const message = await heard(async () => (await as('auth')).publish(SUBJECT, LIE))
    expect(message.string()).toBe(LIE)
    expect(isSpoken(message, SUBJECT)).toBe(true)
    expect(isSpoken(message, 'instatunnel.auth.roll')).toBe(false)
  })

  it('is false of what a stream pushes there for one who may not speak there', async () => {
    const message = await heard(async () => {
      const keys = await as('keys')
      const jsm = await jetstreamManager(keys, { checkAPI: false })
      await jsm.streams.add({ name: 'INSTATUNNEL', subjects: ['instatunnel.events.session.>'] })
      await jsm.consumers.add('INSTATUNNEL', {
        name: 'keys-session-revoked',
        filter_subject: 'instatunnel.events.session.revoked',
        deliver_subject: SUBJECT,
        inactive_threshold: nanos(10_000),
      })
      ;(await as('auth')).publish('instatunnel.events.session.revoked', LIE)
    })
    expect(message.string()).toBe(LIE)
    expect(isSpoken(message, SUBJECT)).toBe(false)
  })

  it('is false of what one who may not speak there has a stream answer there', async () => {
    const message = await heard(async () => {
      const relay = await as('relay')
      const key = 'tunnel.tun_1.agent_1'
      await openBucket(jetstream(await as('tunnels')), true)
      await (await openBucket(jetstream(relay), false)).put(key, LIE)
      relay.publish(`$JS.API.DIRECT.GET.KV_relay_routes.$KV.relay_routes.${key}`, '', { reply: SUBJECT })
    })
    expect(message.string()).toBe(LIE)
    expect(message.subject).toBe(SUBJECT)
    expect(isSpoken(message, SUBJECT)).toBe(false)
  })
})
