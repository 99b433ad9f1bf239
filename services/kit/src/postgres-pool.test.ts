import { freshDatabase } from '@instatunnel/test/database'
import { expect, it, onTestFinished } from 'vitest'
import { connectPostgres } from './postgres.ts'

const CONNECTIONS = 4
const url = await freshDatabase()

/** A pool, and one more connection, which can end those of the pool. */
function open() {
  const sql = connectPostgres({ url, schema: 'public', connections: CONNECTIONS })
  const other = connectPostgres({ url, schema: 'other', connections: 1 })
  onTestFinished(async () => {
    await Promise.all([sql.end({ timeout: 1 }), other.end({ timeout: 1 })])
  })
  const backends = () =>
    other`select pid, state from pg_stat_activity where application_name = 'instatunnel-public' and datname = current_database()`
  /** Ends the pool's connections once all of them are at work. */
  const breakAll = async () => {
    await expect
      .poll(async () => (await backends()).filter(({ state }) => state === 'active').length)
      .toBe(CONNECTIONS)
    await other`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'instatunnel-public' and datname = current_database()`
  }
  return { sql, other, backends, breakAll }
}
const all = <T>(act: () => Promise<T>) => Array.from({ length: CONNECTIONS }, act)

it('answers what comes after its connections broke with its own result, not with the old error', async () => {
  const { sql, breakAll } = open()
  const broken = all(() =>
    sql`select pg_sleep(4)`.then(
      () => 'done',
      () => 'lost',
    ),
  )
  await breakAll()
  expect(await Promise.all(broken)).toEqual(Array(CONNECTIONS).fill('lost'))
  const answers = await Promise.all(all(() => sql`select 1 as one from pg_sleep(0.1)`))
  expect(answers.flat()).toEqual(Array(CONNECTIONS).fill({ one: 1 }))
})

it('goes on with what other connections do when one breaks, and keeps no more of them than it may', async () => {
  const { sql, other, backends } = open()
  const going = Promise.allSettled(
    all(() => sql.begin((tx) => tx`select pg_backend_pid() as pid from pg_sleep(0.5)`)),
  )
  await expect.poll(async () => (await backends()).length).toBe(CONNECTIONS)
  await other`select pg_terminate_backend(${(await backends())[0]?.pid})`
  const outcomes = await going
  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  await Promise.all(Array.from({ length: 20 }, () => sql`select pg_sleep(0.02)`))
  await expect.poll(async () => (await backends()).length).toBe(CONNECTIONS)
})

it('keeps its connections where Postgres refuses one more', async () => {
  const url = await freshDatabase()
  const owner = connectPostgres({ url, schema: 'other', connections: 1 })
  const sql = connectPostgres({ url, schema: 'public', connections: CONNECTIONS })
  onTestFinished(async () => {
    await Promise.all([sql.end({ timeout: 1 }), owner.end({ timeout: 1 })])
  })
  const limitTo = (connections: number) =>
    owner.unsafe(`alter database ${new URL(url).pathname.slice(1)} connection limit ${connections}`)
  // One of them is the owner's.
  await limitTo(CONNECTIONS)
  const pidOf = async () => (await sql`select pg_backend_pid() as pid from pg_sleep(0.1)`)[0]?.pid as number
  const answers = () => Promise.all(all(() => pidOf().catch(({ code }: { code: string }) => code)))
  const first = await answers()
  const pids = first.filter((answer) => typeof answer === 'number')
  expect(pids).toHaveLength(CONNECTIONS - 1)
  for (let round = 0; round < 3; round++)
    expect((await answers()).toSorted()).toEqual([...pids, '53300'].toSorted())
  // And those that it has answer what comes.
  for (let n = 0; n < 5; n++) expect(pids).toContain(await pidOf())
  await limitTo(-1)
  expect(await answers()).toEqual(expect.arrayContaining([...pids, expect.any(Number)]))
  expect(await answers()).not.toContain('53300')
})
