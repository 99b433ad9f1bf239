import { freshDatabase } from '@instatunnel/test/database'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callerSignal } from './pool-queue.ts'
import { connectPostgres, type Sql } from './postgres.ts'

const url = await freshDatabase()
let sql: Sql
beforeEach(async () => {
  sql = connectPostgres({ url, schema: 'public', connections: 2 })
  await sql`create table if not exists done (what text)`
  await Promise.all([1, 2].map(() => sql`select pg_sleep(0.01)`)) // both connections are open
})
afterEach(() => sql.end({ timeout: 1 }))

const exhausted = { code: 'POOL_EXHAUSTED' }
/** Takes both connections for so many seconds. */
async function fill(seconds: number) {
  const slow = [1, 2].map(() => sql`select pg_sleep(${seconds})`.then(() => 'done'))
  await Promise.resolve() // a query asks for its connection once it is waited for
  return { all: Promise.all(slow) }
}

describe('a pool whose connections are all taken', () => {
  it('fails queries and transactions within a second, and serves again once one is free', async () => {
    const { all } = await fill(2.5)
    const began = performance.now()
    await Promise.all([
      expect(sql`select 1`).rejects.toMatchObject(exhausted),
      expect(sql.unsafe('select 1')).rejects.toMatchObject(exhausted),
      expect(sql.begin((tx) => tx`select 1`)).rejects.toMatchObject(exhausted),
    ])
    expect(performance.now() - began).toBeLessThan(1500) // 800 ms, on a busy machine
    await all
    expect(await sql.begin((tx) => tx`select 1 as one`)).toEqual([{ one: 1 }])
  })

  it('lets each wait its turn where the wait is short', async () => {
    const order = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        sql`select ${i}::int as i, pg_sleep(0.005)`.then(([row]) => row?.i),
      ),
    )
    expect(order).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  it('lets a burst wait longer where connections are given back all the time', async () => {
    const burst = Array.from({ length: 12 }, () => sql`select pg_sleep(0.2)`.then(() => 'done', String))
    expect(await Promise.all(burst)).toEqual(Array(12).fill('done'))
  })

  it('gives up a statement that takes too long, and serves again', async () => {
    const slow = [1, 2].map(() => expect(sql`select pg_sleep(60)`).rejects.toMatchObject({ code: '57014' }))
    await Promise.all(slow)
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })

  it('begins nothing for a caller that has gone meanwhile', async () => {
    const gone = new AbortController()
    const { all } = await fill(0.1)
    const forgotten = callerSignal.run(gone.signal, () =>
      expect(sql`insert into done values ('forgotten')`).rejects.toMatchObject({ code: 'CALLER_GONE' }),
    )
    const kept = sql`insert into done values ('kept')`
    await Promise.resolve()
    gone.abort()
    await Promise.all([all, forgotten, kept])
    expect(await sql`select what from done`).toEqual([{ what: 'kept' }])
  })

  it('has all connections back after queries and transactions that fail', async () => {
    for (let i = 0; i < 5; i++) {
      await expect(sql`select 1 / 0`).rejects.toMatchObject({ code: '22012' })
      await expect(sql.begin((tx) => tx`select 1 / 0`)).rejects.toMatchObject({ code: '22012' })
      await expect(
        sql.begin(() => {
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      await sql`select ${sql`1 + 1`} as two, ${sql({ a: 1 })}`.catch(() => {})
    }
    await sql.begin(async (one) => sql.begin(async (two) => [await one`select 1`, await two`select 1`]))
  })
})
