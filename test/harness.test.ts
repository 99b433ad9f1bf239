import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import postgres from 'postgres'
import { expect, it } from 'vitest'
import { freshDatabase } from './harness/database.ts'
import { freshNats } from './harness/nats.ts'
import { natsUser } from './harness/nats-user.ts'

const nats = await freshNats()

it('freshDatabase gives an empty database to its owner', async () => {
  const [one, other] = await Promise.all([freshDatabase(), freshDatabase()])
  expect(one).not.toBe(other)
  const sql = postgres(one, { max: 1, onnotice: () => {} })
  await sql`create schema mine`
  expect(await sql`select table_name from information_schema.tables where table_schema = 'public'`).toEqual(
    [],
  )
  await sql.end()
})

it('an observer sees events from the first on, over a restart of NATS', async () => {
  const observer = await nats.observe()
  // A connection for each: what is sent before a connection has noticed the restart would be lost.
  const publish = async (id: string) => {
    const connection = await connect(natsUser('keys', nats.url, nats.seeds.keys))
    const manager = await jetstreamManager(connection, { checkAPI: false })
    await manager.streams.add({ name: 'INSTATUNNEL', subjects: ['instatunnel.events.key.>'] })
    const head = headers()
    head.set('ce-id', id)
    head.set('ce-type', 'instatunnel.key.created')
    await jetstream(connection).publish('instatunnel.events.key.created', JSON.stringify({ id }), {
      headers: head,
    })
    await connection.close()
  }
  await publish('one')
  expect(await observer.event((event) => event.id === 'one')).toMatchObject({
    stream: 'INSTATUNNEL',
    sequence: 1,
    type: 'instatunnel.key.created',
    data: { id: 'one' },
  })
  await nats.kill()
  await nats.start()
  await publish('two')
  await observer.event((event) => event.id === 'two')
  expect(observer.events.map((event) => event.id)).toEqual(['one', 'two'])
})
