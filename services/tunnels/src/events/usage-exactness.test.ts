import { newId } from '@instatunnel/kit/id'
import { describe, expect, it } from 'vitest'
import { freshSchema } from '../../test/fresh-schema.ts'
import { insertRows, type Row } from '../../test/rows.ts'
import { listTraffic } from '../store/traffic-store.ts'
import { deleteTunnel, lockTunnel } from '../store/tunnel-store.ts'
import { countCreated, findUsage } from '../store/usage-store.ts'
import { addBatch } from './on-tunnel-usage.ts'

const sql = await freshSchema()
const now = new Date('2026-03-01T12:00:30Z')
const add = addBatch({ sql, now: () => now })
const beginning = { minutes: new Date(0), days: new Date(0) }

/** A batch in which each of the tunnels has a use in each of two minutes, told in an order of its own. */
const batchOf = (rows: readonly Row[]) => ({
  id: newId('evt_', now),
  data: {
    uses: rows
      .flatMap(({ tunnelId, userId }) =>
        ['11:59', '12:00'].map((time) => ({
          tunnel_id: tunnelId,
          user_id: userId,
          minute: `2026-03-01T${time}:00Z`,
          requests: 2,
          bytes: 30,
          bytes_in: 10,
          bytes_out: 20,
          status_classes: [0, 1, 0, 0, 1],
          latencies: [7, 1, 90, 1],
        })),
      )
      .sort(() => Math.random() - 0.5),
  },
})

const latencies = (each: number) => Array.from({ length: 91 }, (_, i) => (i === 7 || i === 90 ? each : 0))

describe('a batch of usage', () => {
  it('counts once and whole, whichever come at the same time and again', async () => {
    const rows = await insertRows(sql, 20)
    const batches = Array.from({ length: 30 }, () => batchOf(rows))
    await Promise.all([...batches, ...batches].map(add))
    for (const { tunnelId, userId } of rows) {
      expect(await findUsage(sql, userId)).toMatchObject({
        requestsServed: 120,
        dataTransferredBytes: 1800,
      })
      const sums = (each: number) => ({
        requests: 2 * each,
        bytesIn: 10 * each,
        bytesOut: 20 * each,
        statusClasses: [0, each, 0, 0, each],
        latencies: latencies(each),
      })
      expect(await listTraffic(sql, tunnelId, beginning)).toEqual([
        { unit: 'all', start: new Date(0), ...sums(60) },
        { unit: 'day', start: new Date('2026-03-01T00:00:00Z'), ...sums(60) },
        { unit: 'minute', start: new Date('2026-03-01T11:59:00Z'), ...sums(30) },
        { unit: 'minute', start: new Date('2026-03-01T12:00:00Z'), ...sums(30) },
      ])
    }
  })

  it('waits for no delete that waits for it, and counts for the users of what was deleted', async () => {
    const rows = await insertRows(sql, 20)
    const batches = Array.from({ length: 20 }, () => batchOf(rows))
    const deleted = rows.filter((_, i) => i % 2 === 0)
    // As CreateTunnel where it makes room: the user's row, then the tunnel's, then the traffic's.
    const deletes = deleted.map(({ userId, tunnelId }) =>
      sql.begin(async (tx) => {
        await countCreated(tx, userId)
        await lockTunnel(tx, tunnelId)
        await deleteTunnel(tx, tunnelId)
      }),
    )
    await Promise.all([...batches.slice(0, 10).map(add), ...deletes, ...batches.slice(10).map(add)])
    for (const row of rows) {
      expect(await findUsage(sql, row.userId)).toMatchObject({ requestsServed: 80 })
      const [all] = await listTraffic(sql, row.tunnelId, beginning)
      expect(all?.requests).toBe(deleted.includes(row) ? undefined : 80)
    }
  })

  it('may hold 2,000 uses', async () => {
    const rows = await insertRows(sql, 1000)
    await Promise.all([batchOf(rows), batchOf(rows)].map(add))
    const [sum] =
      await sql`select count(*)::integer, sum(requests) as requests from traffic where unit = 'all'
      and tunnel_id in ${sql(rows.map(({ tunnelId }) => tunnelId))}`
    expect(sum).toEqual({ count: 1000, requests: 8000 })
  })
})
