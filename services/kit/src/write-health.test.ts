import { freshDatabase } from '@instatunnel/test/database'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createLog } from './log.ts'
import { connectPostgres } from './postgres.ts'
import { watchWrites, writeAndForget } from './write-health.ts'

const url = await freshDatabase()
/** Fails as a write does where the disk is full. */
const failAs = (code: string) => `do $$ begin raise exception 'no room' using errcode = '${code}'; end $$`

/** Writes of a pool, what is said of them, and a disk that takes the probe or not. */
function setUp() {
  const logged: string[] = []
  const log = createLog('keys', 'info', { write: (line: string) => void logged.push(line) })
  const disk = { isFull: true }
  const write = vi.fn(async () => {
    if (disk.isFull) throw new Error('no room')
    await writeAndForget(sql)
  })
  const writes = watchWrites({ write, log, everyMs: 10 })
  const sql = connectPostgres({ url, schema: 'public', connections: 2, failed: writes.failed })
  const states: boolean[] = []
  writes.follow((isHealthy) => states.push(isHealthy))
  onTestFinished(async () => {
    await writes.close()
    await sql.end({ timeout: 1 })
  })
  const levels = () => logged.map((line) => JSON.parse(line).level)
  return { sql, disk, write, states, levels }
}

describe('watchWrites', () => {
  it.each([
    ['a query', 'query'],
    ['a transaction', 'transaction'],
  ])('says once that the disk is full of which %s dies, and once that it has room', async (_, kind) => {
    const { sql, disk, write, states, levels } = setUp()
    const fail = () =>
      kind === 'query' ? sql.unsafe(failAs('53100')) : sql.begin((tx) => tx.unsafe(failAs('53100')))
    await expect(fail()).rejects.toMatchObject({ code: '53100' })
    await expect(fail()).rejects.toMatchObject({ code: '53100' })
    const tried = write.mock.calls.length
    await expect.poll(() => write.mock.calls.length).toBeGreaterThan(tried + 1)
    expect(states).toEqual([true, false])
    disk.isFull = false
    await expect.poll(() => states).toEqual([true, false, true])
    expect(levels()).toEqual(['error', 'info'])
    expect(await sql`select from pg_class where relname = 'write_probe'`).toHaveLength(0)
  })

  it('says nothing, and writes nothing, where something else fails', async () => {
    const { sql, write, states, levels } = setUp()
    for (const code of ['53300', '23505', '57014'])
      await expect(sql.unsafe(failAs(code))).rejects.toMatchObject({ code })
    expect(states).toEqual([true])
    expect(levels()).toEqual([])
    expect(write).not.toHaveBeenCalled()
  })
})
