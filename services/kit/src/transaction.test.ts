import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startPostgres } from '@instatunnel/local/postgres'
import { afterAll, describe, expect, it } from 'vitest'
import { connectPostgres } from './postgres.ts'
import { Refusal } from './refusal.ts'

const dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-transaction-'))
const postgres = await startPostgres({ dataDir, port: 0, durable: false })
const sql = connectPostgres({ url: postgres.url, schema: 'public' })
await sql`create table kept (id int)`
afterAll(async () => {
  await sql.end({ timeout: 1 })
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
})

const count = async () => (await sql`select from kept`).length

describe('a transaction', () => {
  it('commits what returns, and rolls back what throws', async () => {
    expect(await sql.begin(async (tx) => (await tx`insert into kept values (1)`).count)).toBe(1)
    const refusal = new Refusal('NO', 'no')
    const refused = sql.begin(async (tx) => {
      await tx`insert into kept values (2)`
      throw refusal
    })
    await expect(refused).rejects.toBe(refusal)
    expect(await count()).toBe(1)
  })

  it('goes on after a savepoint that is rolled back', async () => {
    const before = await count()
    await sql.begin(async (tx) => {
      await expect(tx.savepoint((sp) => sp`select 1 / 0`)).rejects.toMatchObject({ code: '22012' })
      await tx`insert into kept values (3)`
    })
    expect(await count()).toBe(before + 1)
  })

  it("rolls back where a neighbour's connection is what broke", async () => {
    const before = await count()
    const broken = Object.assign(new Error('a neighbour'), { code: 'ECONNRESET' })
    const failed = sql.begin(async (tx) => {
      await tx`insert into kept values (4)`
      throw broken
    })
    await expect(failed).rejects.toBe(broken)
    expect(await count()).toBe(before)
    const locks = () => sql`select from pg_stat_activity where state like 'idle in transaction%'`
    await expect.poll(async () => (await locks()).length, { timeout: 5000 }).toBe(0)
  })

  it('that loses its connection fails, and neither the process nor a connection is lost with it', async () => {
    const works = [
      () => sql`select 1`,
      () => sql.begin(async (tx) => [await tx`insert into kept values (5)`, await tx`select 1`]),
      () => sql.begin(async (tx) => [await tx`select 1`, await delay(20), await tx`select 1`]),
      () => sql.begin((tx) => tx.savepoint((sp) => sp`select 1`)),
    ]
    const stop = new AbortController()
    const work = async (index: number) => {
      while (!stop.signal.aborted) await works[index % works.length]?.().catch(() => delay(5))
    }
    const working = Array.from({ length: 16 }, (_, index) => work(index))
    for (let round = 0; round < 4; round++) {
      await delay(200) // under load, so that some connections break with something still to be written
      await (round % 2 ? postgres.stop() : postgres.kill())
      await postgres.start()
    }
    await delay(500)
    stop.abort()
    await Promise.all(working)
    // More at a time than there are connections: each of them is used.
    const answers = Array.from({ length: 20 }, () => sql`select 1 as one from pg_sleep(0.1)`)
    for (const [answer] of await Promise.all(answers)) expect(answer).toEqual({ one: 1 })
  })
})
