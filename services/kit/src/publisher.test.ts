import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '@instatunnel/local/nats'
import { startPostgres } from '@instatunnel/local/postgres'
import { freshDatabase } from '@instatunnel/test/database'
import { freshNats } from '@instatunnel/test/nats'
import { natsUser } from '@instatunnel/test/nats-user'
import { observe } from '@instatunnel/test/observer'
import { DiscardPolicy, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { appendEvent, type Event, OUTBOX_MIGRATIONS } from './event.ts'
import { newId } from './id.ts'
import { connectNats, type Nats } from './jetstream.ts'
import { connectPostgres, migrate, type Sql } from './postgres.ts'
import { startPublisher } from './publisher.ts'

const server = await freshNats()
const log = pino({ level: 'silent' })

/** A schema with an outbox. */
async function openOutbox(url?: string): Promise<{ sql: Sql; url: string }> {
  const database = url ?? (await freshDatabase())
  const sql = connectPostgres({ url: database, schema: 'keys', connections: 4 })
  await migrate(sql, { schema: 'keys', folders: [OUTBOX_MIGRATIONS] })
  onTestFinished(() => sql.end({ timeout: 1 }))
  return { sql, url: database }
}

function openNats(to: { url: string; seeds: { keys: string } } = server): Nats {
  const nats = connectNats({ url: to.url, seed: to.seeds.keys, name: 'keys', log })
  onTestFinished(() => nats.close())
  return nats
}

function publish(sql: Sql, nats: Nats, more: { unhealthyAfterMs?: number } = {}) {
  const publisher = startPublisher({ sql, schema: 'keys', nats, log, ...more })
  onTestFinished(() => publisher.close())
  return publisher
}

const eventOf = (subject: string, data: object = {}, type = 'key.created'): Event => ({
  id: newId('evt_', new Date()),
  type,
  subject,
  time: new Date('2026-07-01T12:00:00.123Z'),
  data,
})
const append = (sql: Sql, event: Event) => sql.begin((tx) => appendEvent(tx, event))
const waiting = async (sql: Sql) => (await sql`select from outbox`).length
const told = (sql: Sql) => expect.poll(() => waiting(sql), { timeout: 15_000 }).toBe(0)

describe('startPublisher', () => {
  it('tells an event as CloudEvents in binary mode, and forgets it', async () => {
    const [{ sql }, observer] = [await openOutbox(), await server.observe()]
    publish(sql, openNats())
    const event = eventOf('key_1', { key_id: 'key_1', täg: 'é 🦦' })
    await append(sql, event)
    const seen = await observer.event(({ id }) => id === event.id)
    expect(seen).toMatchObject({
      stream: 'INSTATUNNEL',
      subject: 'instatunnel.events.key.created',
      data: event.data,
    })
    expect(seen.headers).toEqual({
      'ce-specversion': '1.0',
      'ce-id': event.id,
      'ce-type': 'instatunnel.events.key.created',
      'ce-source': '/instatunnel/keys',
      'ce-subject': 'key_1',
      'ce-time': '2026-07-01T12:00:00.123Z',
      'content-type': 'application/json',
      'nats-msg-id': event.id,
    })
    await told(sql)
  })

  it('tells nothing of a change that was rolled back', async () => {
    const [{ sql }, observer] = [await openOutbox(), await server.observe()]
    publish(sql, openNats())
    const [undone, done] = [eventOf('key_1'), eventOf('key_1')]
    const change = sql.begin(async (tx) => {
      await appendEvent(tx, undone)
      throw new Error('changed my mind')
    })
    await expect(change).rejects.toThrow('changed my mind')
    await append(sql, done)
    await observer.event(({ id }) => id === done.id)
    expect(observer.events.map(({ id }) => id)).not.toContain(undone.id)
  })

  it('tells an event once, where the publisher was killed between telling and forgetting it', async () => {
    const [{ sql }, observer] = [await openOutbox(), await server.observe()]
    publish(sql, openNats())
    const [event, last] = [eventOf('key_1'), eventOf('key_1')]
    await append(sql, event)
    await told(sql)
    // What the outbox holds after such a death: the row whose event the stream has already.
    await append(sql, event)
    await append(sql, last)
    await observer.event(({ id }) => id === last.id)
    expect(observer.events.filter(({ id }) => id === event.id)).toHaveLength(1)
    await told(sql)
  })

  it('tells each event once and in order per resource, with two publishers at work', async () => {
    const [{ sql, url }, observer] = [await openOutbox(), await server.observe()]
    const second = await openOutbox(url)
    publish(sql, openNats())
    publish(second.sql, openNats())
    const subjects = ['key_a', 'key_b', 'key_c', 'key_d', 'key_e'].map((name) => `${name}_${Date.now()}`)
    const events = Array.from({ length: 500 }, (_, n) => eventOf(subjects[n % 5] as string, { n }))
    for (let n = 0; n < events.length; n += 50) {
      await sql.begin(async (tx) => {
        for (const event of events.slice(n, n + 50)) await appendEvent(tx, event)
      })
    }
    await told(sql)
    for (const last of events.slice(-5)) await observer.event(({ id }) => id === last.id)
    for (const subject of subjects) {
      const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)
      const seen = observer.events.filter(({ headers }) => headers['ce-subject'] === subject)
      expect(ids(seen)).toEqual(ids(events.filter((event) => event.subject === subject)))
    }
  })

  it('hands over to another publisher when one is closed', async () => {
    const [{ sql, url }, observer] = [await openOutbox(), await server.observe()]
    const second = await openOutbox(url)
    const first = publish(sql, openNats())
    publish(second.sql, openNats())
    await first.close()
    const event = eventOf('key_1')
    await append(sql, event)
    await observer.event(({ id }) => id === event.id)
  })

  it('does not let an event that NATS refuses hold up those of other resources', async () => {
    const [{ sql }, observer] = [await openOutbox(), await server.observe()]
    publish(sql, openNats())
    const forbidden = eventOf('user_1', {}, 'user.registered') // keys may not say this
    const [behind, other] = [eventOf('user_1'), eventOf('key_1')]
    for (const event of [forbidden, behind, other]) await append(sql, event)
    await observer.event(({ id }) => id === other.id)
    const left = async () => (await sql`select id from outbox order by seq`).map(({ id }) => id)
    await expect.poll(left, { timeout: 5000 }).toEqual([forbidden.id, behind.id])
  })

  it('goes on after Postgres was killed and came back', async () => {
    const postgres = await ownPostgres()
    const [{ sql }, observer] = [await openOutbox(postgres.url), await server.observe()]
    publish(sql, openNats())
    const [before, after] = [eventOf('key_1'), eventOf('key_1')]
    await append(sql, before)
    await observer.event(({ id }) => id === before.id)
    await postgres.kill()
    await postgres.start()
    await expect.poll(() => append(sql, after).then(() => 'kept', String), { timeout: 10_000 }).toBe('kept')
    await observer.event(({ id }) => id === after.id)
  })

  it('closes while Postgres is away', async () => {
    const postgres = await ownPostgres()
    const { sql } = await openOutbox(postgres.url)
    const publisher = publish(sql, openNats())
    await append(sql, eventOf('key_1'))
    await told(sql)
    await postgres.kill()
    await publisher.close()
    await sql.end({ timeout: 1 })
  })
})

/** A PostgreSQL server that the test may kill. */
async function ownPostgres() {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-publisher-'))
  const postgres = await startPostgres({ dataDir, port: 0 })
  onTestFinished(async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true })
  })
  return postgres
}

describe('while NATS is away', () => {
  /** A NATS server that the test may stop, and rob of its streams. */
  async function ownNats() {
    const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-publisher-'))
    const nats = await startNats({ dataDir, port: 0 })
    onTestFinished(async () => {
      await nats.stop()
      await rm(dataDir, { recursive: true, force: true })
    })
    const observeIt = async () => {
      const observer = await observe({ url: nats.url, seed: nats.seeds.observer })
      onTestFinished(() => observer.close())
      return observer
    }
    return { ...nats, observe: observeIt, storage: join(dataDir, 'nats', 'jetstream') }
  }

  it('events wait, and arrive once and in order when it is back', async () => {
    const [nats, { sql }] = [await ownNats(), await openOutbox()]
    publish(sql, openNats(nats))
    const first = eventOf('key_1', { n: -1 })
    await append(sql, first)
    await told(sql)
    await nats.kill()
    const events = Array.from({ length: 60 }, (_, n) => eventOf(`key_${n % 3}`, { n }))
    for (const event of events) await append(sql, event)
    expect(await waiting(sql)).toBe(60)
    await nats.start()
    const observer = await nats.observe()
    await told(sql)
    await observer.event(({ id }) => id === events.at(-1)?.id)
    for (const subject of ['key_0', 'key_1', 'key_2']) {
      const seen = observer.events.filter(({ headers }) => headers['ce-subject'] === subject)
      const sent = [first, ...events].filter((event) => event.subject === subject)
      expect(seen.map(({ data }) => data.n)).toEqual(sent.map(({ data }) => (data as { n: number }).n))
    }
  })

  it('a service starts, and tells its events when NATS comes for the first time', async () => {
    const [nats, { sql }] = [await ownNats(), await openOutbox()]
    await nats.stop()
    publish(sql, openNats(nats))
    const event = eventOf('key_1')
    await append(sql, event)
    await nats.start()
    await (await nats.observe()).event(({ id }) => id === event.id)
  })

  it('a stream that takes nothing makes its publisher unhealthy, until it takes events again', async () => {
    const [nats, { sql }] = [await ownNats(), await openOutbox()]
    const connection = await connect(natsUser('auth', nats.url, nats.seeds.auth))
    onTestFinished(() => connection.close())
    const { streams } = await jetstreamManager(connection, { checkAPI: false })
    const full = { subjects: ['instatunnel.events.key.>'], max_msgs: 1, discard: DiscardPolicy.New }
    await streams.add({ name: 'INSTATUNNEL', ...full })
    const publisher = publish(sql, openNats(nats), { unhealthyAfterMs: 300 })
    const states: boolean[] = []
    publisher.health.follow((isHealthy) => states.push(isHealthy))
    const events = [1, 2, 3].map((n) => eventOf('key_1', { n }))
    for (const event of events) await append(sql, event)
    await expect.poll(() => states, { timeout: 10_000 }).toEqual([true, false])
    expect(await waiting(sql)).toBe(2)

    await streams.update('INSTATUNNEL', { ...full, max_msgs: 100 })
    await told(sql)
    expect(states).toEqual([true, false, true])
    const observer = await nats.observe()
    await observer.event(({ id }) => id === events[2]?.id)
    expect(observer.events.map(({ data }) => data.n)).toEqual([1, 2, 3])
  })

  it('its streams may be lost: they are made again', async () => {
    const [nats, { sql }] = [await ownNats(), await openOutbox()]
    publish(sql, openNats(nats))
    await append(sql, eventOf('key_1'))
    await told(sql)
    await nats.kill()
    await rm(nats.storage, { recursive: true })
    await nats.start()
    const event = eventOf('key_1')
    await append(sql, event)
    await (await nats.observe()).event(({ id }) => id === event.id)
    await told(sql)
  })

  it('a publisher closes', async () => {
    const [nats, { sql }] = [await ownNats(), await openOutbox()]
    await nats.stop()
    const connection = openNats(nats)
    const publisher = publish(sql, connection)
    await append(sql, eventOf('key_1'))
    await publisher.close()
    await connection.close()
    expect(await waiting(sql)).toBe(1)
  })
})
