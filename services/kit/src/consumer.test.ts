import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '@instatunnel/local/nats'
import { freshDatabase } from '@instatunnel/test/database'
import { AckPolicy } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type HeardEvent, startConsumer } from './consumer.ts'
import { isFirstDelivery, OUTBOX_MIGRATIONS } from './event.ts'
import { newId } from './id.ts'
import { connectNats, type Nats } from './jetstream.ts'
import type { Logger } from './log.ts'
import { connectPostgres, migrate } from './postgres.ts'
import { publishEvent } from './publisher.ts'

const log = pino({ level: 'silent' })
const DATA = { session_id: 'ses_1' }

/** A NATS server of the test's own, keys to hear with and auth to tell with. */
async function ownNats() {
  const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-consumer-'))
  const server = await startNats({ dataDir, port: 0 })
  onTestFinished(async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  const open = (name: 'auth' | 'keys') => {
    const nats = connectNats({ url: server.url, seed: server.seeds[name], name, log })
    onTestFinished(() => nats.close())
    return nats
  }
  const auth = open('auth')
  let told = 0
  const tell = async (data: object = { n: told++ }, id = newId('evt_', new Date())) => {
    const time = new Date('2026-07-01T12:00:00.123Z')
    await publishEvent(auth, 'auth', { id, type: 'session.revoked', subject: 'ses_1', time, data })
    return id
  }
  return { ...server, open, auth, tell, storage: join(dataDir, 'nats', 'jetstream') }
}

/** Listens as keys does; `heard` is what was handled, each time that it was. */
function listen(
  nats: Nats,
  handle: (event: HeardEvent) => Promise<void> = async () => {},
  more: { log?: Logger; lookEveryMs?: number } = {},
) {
  const heard: HeardEvent[] = []
  const consumer = startConsumer({
    nats,
    log,
    stream: 'INSTATUNNEL',
    durable: 'keys-session-revoked',
    type: 'session.revoked',
    ...more,
    handle: async (event) => {
      heard.push(event)
      await handle(event)
    },
  })
  onTestFinished(() => consumer.close())
  const numbers = () => heard.map(({ data }) => (data as { n: number }).n)
  return { ...consumer, heard, numbers }
}

const within = { timeout: 15_000 }

describe('startConsumer', () => {
  it('hears what was told before it first listened, with its id and time', async () => {
    const nats = await ownNats()
    const id = await nats.tell(DATA)
    const { heard } = listen(nats.open('keys'))
    await expect
      .poll(() => heard, within)
      .toEqual([{ id, time: new Date('2026-07-01T12:00:00.123Z'), data: DATA }])
  })

  it('tells how many events left the stream before it had come to them', async () => {
    const nats = await ownNats()
    const logged: { level: number; lost?: number; lostInAll?: number; durable?: string }[] = []
    const telling = pino({ level: 'error' }, { write: (line) => void logged.push(JSON.parse(line)) })
    const held = Promise.withResolvers<void>()
    const { heard } = listen(nats.open('keys'), () => held.promise, { log: telling, lookEveryMs: 20 })
    await nats.tell()
    await expect.poll(() => heard.length, within).toBe(1)
    // The stream keeps the newest three of all that come while the first is being handled.
    const { jsm } = await nats.auth.ready
    const { config } = await jsm.streams.info('INSTATUNNEL')
    await jsm.streams.update('INSTATUNNEL', { ...config, max_msgs: 3 })
    const lost = async () => {
      await nats.tell()
      return logged[0]
    }
    await expect.poll(lost, { timeout: 15_000, interval: 10 }).toMatchObject({
      ...{ level: 50, durable: 'keys-session-revoked', lost: expect.any(Number) },
      msg: 'events left the stream before they were handled',
    })
    held.resolve()
  })

  it('hears in order, and again and before all others what it threw at', async () => {
    const nats = await ownNats()
    let failures = 2
    const { numbers } = listen(nats.open('keys'), async ({ data }) => {
      if ((data as { n: number }).n === 1 && failures-- > 0) throw new Error('the database is away')
    })
    for (let n = 0; n < 4; n++) await nats.tell()
    await expect.poll(numbers, within).toEqual([0, 1, 1, 1, 2, 3])
  })

  it('goes on where it stopped, and hears nothing twice for that', async () => {
    const nats = await ownNats()
    const first = listen(nats.open('keys'))
    await nats.tell()
    await expect.poll(first.numbers, within).toEqual([0])
    await first.close()
    await nats.tell()
    const second = listen(nats.open('keys'))
    await nats.tell()
    await expect.poll(second.numbers, within).toEqual([1, 2])
    expect(first.numbers()).toEqual([0])
  })

  it('goes on with a consumer that an older release made otherwise', async () => {
    const nats = await ownNats()
    const keys = nats.open('keys')
    const { jsm } = await keys.ready
    await jsm.consumers.add('INSTATUNNEL', {
      durable_name: 'keys-session-revoked',
      filter_subject: 'instatunnel.events.session.revoked',
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(60_000),
      max_ack_pending: 7,
    })
    await nats.tell()
    const { numbers } = listen(keys)
    await expect.poll(numbers, within).toEqual([0])
    const { config } = await jsm.consumers.info('INSTATUNNEL', 'keys-session-revoked')
    expect(config.max_ack_pending).toBe(1)
  })

  it('shares its events between replicas: each is heard by one of them', async () => {
    const nats = await ownNats()
    const replicas = [listen(nats.open('keys')), listen(nats.open('keys'))]
    for (let n = 0; n < 20; n++) await nats.tell()
    const all = () => replicas.flatMap(({ numbers }) => numbers()).sort((a, b) => a - b)
    await expect.poll(all, within).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('goes on by itself after NATS was killed and came back', async () => {
    const nats = await ownNats()
    const { numbers } = listen(nats.open('keys'))
    await nats.tell()
    await expect.poll(numbers, within).toEqual([0])
    await nats.kill()
    await nats.start()
    await expect.poll(() => nats.tell().then(() => 'told', String), within).toBe('told')
    await expect.poll(() => numbers().length, within).toBeGreaterThan(1)
  }, 40_000)

  it('goes on where NATS came back without its streams and consumers', async () => {
    const nats = await ownNats()
    const keys = nats.open('keys')
    const { numbers } = listen(keys)
    await nats.tell()
    await expect.poll(numbers, within).toEqual([0])
    await nats.kill()
    await rm(nats.storage, { recursive: true })
    await nats.start()
    const tell = () => nats.auth.ensureStreams().then(() => nats.tell({ n: 100 }))
    await expect.poll(() => tell().then(() => 'told', String), within).toBe('told')
    await expect.poll(numbers, within).toContain(100)
  }, 40_000)

  it('passes over what is no JSON: it would hold up everything after it for ever', async () => {
    const nats = await ownNats()
    const { numbers } = listen(nats.open('keys'))
    const { js } = await nats.auth.ready
    await js.publish('instatunnel.events.session.revoked', 'not JSON')
    await nats.tell()
    await expect.poll(numbers, within).toEqual([0])
  })

  it('closes while NATS was never there', async () => {
    const nats = await ownNats()
    await nats.stop()
    const keys = nats.open('keys')
    const { close } = listen(keys)
    await close()
    await keys.close()
  })
})

describe('isFirstDelivery', () => {
  it('is true once for an event whose transaction was kept', async () => {
    const sql = connectPostgres({ url: await freshDatabase(), schema: 'keys' })
    onTestFinished(() => sql.end({ timeout: 1 }))
    await migrate(sql, { schema: 'keys', folders: [OUTBOX_MIGRATIONS] })
    const first = (id: string) => sql.begin((tx) => isFirstDelivery(tx, id))

    const undone = sql.begin(async (tx) => {
      expect(await isFirstDelivery(tx, 'evt_1')).toBe(true)
      throw new Error('rolled back')
    })
    await expect(undone).rejects.toThrow('rolled back')
    expect(await first('evt_1')).toBe(true)
    expect(await first('evt_1')).toBe(false)
    const many = await Promise.all(Array.from({ length: 20 }, () => first('evt_2')))
    expect(many.filter(Boolean)).toHaveLength(1)
  })

  it('forgets an event only when no stream can hold it any more', async () => {
    const sql = connectPostgres({ url: await freshDatabase(), schema: 'keys' })
    onTestFinished(() => sql.end({ timeout: 1 }))
    await migrate(sql, { schema: 'keys', folders: [OUTBOX_MIGRATIONS] })
    await sql`insert into inbox values ('evt_old', now() - interval '8 days 1 second')`
    await sql`insert into inbox values ('evt_week', now() - interval '7 days')`
    await sql.begin((tx) => isFirstDelivery(tx, 'evt_new'))
    expect(await sql`select event_id from inbox order by event_id`).toMatchObject([
      { eventId: 'evt_new' },
      { eventId: 'evt_week' },
    ])
  })

  it('forgets a few at a time, however many have grown old together, and waits for no one', async () => {
    const sql = connectPostgres({ url: await freshDatabase(), schema: 'keys' })
    onTestFinished(() => sql.end({ timeout: 1 }))
    await migrate(sql, { schema: 'keys', folders: [OUTBOX_MIGRATIONS] })
    await sql`insert into inbox select 'evt_' || n, now() - interval '9 days' from generate_series(1, 250) n`
    const left = async () => (await sql`select from inbox where seen_at < now() - interval '8 days'`).length
    await sql.begin(async (tx) => {
      await isFirstDelivery(tx, 'evt_new_1')
      await sql.begin((other) => isFirstDelivery(other, 'evt_new_2'))
    })
    expect(await left()).toBe(50)
    await sql.begin((tx) => isFirstDelivery(tx, 'evt_new_3'))
    expect(await left()).toBe(0)
  })
})
