import type { FreshNats } from '@instatunnel/test/nats'
import { natsUser } from '@instatunnel/test/nats-user'
import { jetstream } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import { expect, onTestFinished } from 'vitest'

/** Tells an event as auth does; `delivery` is the message's own id, where it is not the event's. */
export type Tell = (type: string, id: string, data: unknown, delivery?: string) => Promise<void>

/** Connects to NATS as auth until the test is over. */
export async function tellerOf(nats: FreshNats): Promise<Tell> {
  const connection = await connect({
    servers: nats.url,
    ...natsUser('auth', nats.url, nats.seeds.auth),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  })
  onTestFinished(() => connection.close())
  return async (type, id, data, delivery = id) => {
    const head = headers()
    head.set('ce-id', id)
    head.set('ce-time', new Date().toISOString())
    const options = { msgID: delivery, headers: head }
    const body = typeof data === 'string' ? data : JSON.stringify(data)
    // Until the streams are there, or there again.
    const publish = () => jetstream(connection).publish(`instatunnel.events.${type}`, body, options)
    await expect
      .poll(() => publish().then(({ stream }) => stream, String), { timeout: 10_000 })
      .toMatch(/^INSTATUNNEL/)
  }
}
