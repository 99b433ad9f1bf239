import { describe, expect, it } from 'vitest'
import { freshSchema } from '../../test/fresh-schema.ts'
import { insertRows } from '../../test/rows.ts'
import { addTraffic, listTraffic, purgeTraffic } from './traffic-store.ts'

const sql = await freshSchema()
const traffic = { requests: 1, bytesIn: 1, bytesOut: 1, statusClasses: [0, 1, 0, 0, 0], latencies: [1] }
const noon = new Date('2026-03-01T12:00:00Z')
const beginning = { minutes: new Date(0), days: new Date(0) }

/** A tunnel with traffic in all, on a day, and in so many minutes from noon on. */
async function tunnelWith(minutes: number): Promise<string> {
  const [{ tunnelId } = { tunnelId: '' }] = await insertRows(sql, 1)
  const starts = Array.from({ length: minutes }, (_, i) => new Date(noon.getTime() + i * 60_000))
  await addTraffic(sql, [
    { tunnelId, unit: 'all', start: new Date(0), ...traffic },
    { tunnelId, unit: 'day', start: noon, ...traffic },
    ...starts.map((start) => ({ tunnelId, unit: 'minute' as const, start, ...traffic })),
  ])
  return tunnelId
}

const startsOf = async (tunnelId: string) =>
  (await listTraffic(sql, tunnelId, beginning)).map(
    ({ unit, start }) => `${unit} ${start.toISOString().slice(11, 16)}`,
  )

describe('purgeTraffic', () => {
  it('deletes the minutes that began before a time, and nothing else', async () => {
    const id = await tunnelWith(3)
    await purgeTraffic(sql, 'minute', new Date('2026-03-01T12:02:00Z'))
    expect(await startsOf(id)).toEqual(['all 00:00', 'day 12:00', 'minute 12:02'])
    await purgeTraffic(sql, 'day', new Date('2026-03-02T00:00:00Z'))
    expect(await startsOf(id)).toEqual(['all 00:00', 'minute 12:02'])
  })

  it('deletes no more at once than a statement has time for, and tells whether there is more', async () => {
    const id = await tunnelWith(15_000)
    const before = new Date('2027-01-01T00:00:00Z')
    expect(await purgeTraffic(sql, 'minute', before)).toBe(true)
    expect(await purgeTraffic(sql, 'minute', before)).toBe(false)
    expect(await startsOf(id)).toEqual(['all 00:00', 'day 12:00'])
  })

  it('leaves what is being added to for the next time, and does not wait', async () => {
    const id = await tunnelWith(2)
    const before = new Date('2027-01-01T00:00:00Z')
    await sql.begin(async (tx) => {
      await addTraffic(tx, [{ tunnelId: id, unit: 'minute', start: noon, ...traffic }])
      await purgeTraffic(sql, 'minute', before)
    })
    expect(await startsOf(id)).toEqual(['all 00:00', 'day 12:00', 'minute 12:00'])
    await purgeTraffic(sql, 'minute', before)
    expect(await startsOf(id)).toEqual(['all 00:00', 'day 12:00'])
  })

  it('looks at old rows only, however many there are', async () => {
    await tunnelWith(20_000)
    const session = await sql.reserve()
    const scansOfAll = async () => {
      await session`select pg_stat_force_next_flush()`
      const [row] = await session`
        select seq_scan::integer as scans from pg_stat_user_tables where relname = 'traffic'`
      return row?.scans
    }
    const before = await scansOfAll()
    await purgeTraffic(session, 'minute', noon)
    expect(await scansOfAll()).toBe(before)
    await session`select from traffic where requests = 7`
    expect(await scansOfAll()).toBe(before + 1)
    session.release()
  })
})
