import { newId } from '@instatunnel/kit/id'
import { latencyBucket } from '@instatunnel/kit/latency'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { notTunnelIds, tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { startTunnels } from '../../test/start-tunnels.ts'
import { addBatch } from '../events/on-tunnel-usage.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

let now = new Date('2026-03-01T00:05:30Z')
const tunnels = await startTunnels({}, { now: () => now })
const add = addBatch({ sql: tunnels.sql, now: () => now })
afterAll(() => tunnels.close())

/** A tunnel, and a way to have one request pass through it at a time. */
async function tunnelWithTraffic() {
  const user = tunnels.user()
  const { id, createdAt } = await made(user)
  const pass = (minute: string, more: object = {}) =>
    add({
      id: newId('evt_', now),
      data: { uses: [{ tunnel_id: id, user_id: user.id, minute, requests: 1, bytes: 0, ...more }] },
    })
  return { user, id, createdAt, pass }
}

const startsOf = (periods: readonly { start?: Date | undefined }[]) =>
  periods.map(({ start }) => start?.toISOString().slice(0, 16))

describe('GetTunnelStats', () => {
  it('has zeros, and no latency, of a tunnel that nothing passed through', async () => {
    const { user, id, createdAt } = await tunnelWithTraffic()
    const total = {
      start: createdAt,
      requests: 0,
      bytesIn: 0,
      bytesOut: 0,
      status: { status1xx: 0, status2xx: 0, status3xx: 0, status4xx: 0, status5xx: 0 },
      latencyMs: undefined,
    }
    expect(await user.getTunnelStats({ id })).toEqual({ tunnelId: id, total, minutes: [], days: [] })
  })

  it('sums up what passed, in all, by the minute and by the day in UTC, oldest first', async () => {
    const { user, id, createdAt, pass } = await tunnelWithTraffic()
    const status = { status1xx: 1, status2xx: 2, status3xx: 3, status4xx: 4, status5xx: 5 }
    const more = { requests: 15, bytes_in: 7, bytes_out: 2 ** 50, status_classes: [1, 2, 3, 4, 5] }
    await pass('2026-03-01T00:05:00Z', more)
    await pass('2026-02-28T23:59:00Z', more)
    const passed = { requests: 15, bytesIn: 7, bytesOut: 2 ** 50, status, latencyMs: undefined }
    expect(await user.getTunnelStats({ id })).toEqual({
      tunnelId: id,
      total: {
        start: createdAt,
        requests: 30,
        bytesIn: 14,
        bytesOut: 2 ** 51,
        status: { status1xx: 2, status2xx: 4, status3xx: 6, status4xx: 8, status5xx: 10 },
      },
      minutes: [
        { start: new Date('2026-02-28T23:59:00Z'), ...passed },
        { start: new Date('2026-03-01T00:05:00Z'), ...passed },
      ],
      days: [
        { start: new Date('2026-02-28T00:00:00Z'), ...passed },
        { start: new Date('2026-03-01T00:00:00Z'), ...passed },
      ],
    })
  })

  it('tells percentiles within 5%, of each period', async () => {
    const { user, id, pass } = await tunnelWithTraffic()
    const all = Array.from({ length: 1000 }, (_, i) => i + 1) // 1 to 1000 ms
    const latencies = all.flatMap((ms) => [latencyBucket(ms), 1])
    await pass('2026-03-01T00:04:00Z', { requests: 1000, latencies })
    await pass('2026-03-01T00:05:00Z', { requests: 1, latencies: [latencyBucket(40), 1] })
    const { total, minutes } = await user.getTunnelStats({ id })
    const [first, second] = minutes
    for (const { latencyMs } of [total, first].flatMap((period) => period ?? [])) {
      for (const [told, exact] of [
        [latencyMs?.p50, 500],
        [latencyMs?.p95, 950],
        [latencyMs?.p99, 990],
      ] as const) {
        expect(Math.abs((told ?? 0) / exact - 1)).toBeLessThan(0.06)
      }
    }
    const { p50, p95, p99 } = second?.latencyMs ?? {}
    expect(Math.abs((p50 ?? 0) / 40 - 1)).toBeLessThan(0.06)
    expect([p95, p99]).toEqual([p50, p50])
  })

  it('goes as far back as is asked for, the current minute and day included', async () => {
    const { user, id, pass } = await tunnelWithTraffic()
    for (const minutesAgo of [0, 1, 59, 60, 1439, 1440]) {
      await pass(new Date(now.getTime() - minutesAgo * MINUTE_MS).toISOString())
    }
    for (const daysAgo of [29, 30, 364, 365]) {
      await pass(new Date(now.getTime() - daysAgo * DAY_MS).toISOString())
    }
    const unsaid = await user.getTunnelStats({ id })
    expect(startsOf(unsaid.minutes)).toEqual(['2026-02-28T23:06', '2026-03-01T00:04', '2026-03-01T00:05'])
    expect(startsOf(unsaid.days)).toEqual(['2026-01-31T00:00', '2026-02-28T00:00', '2026-03-01T00:00'])
    const least = await user.getTunnelStats({ id, minutes: 1, days: 1 })
    expect(startsOf(least.minutes)).toEqual(['2026-03-01T00:05'])
    expect(startsOf(least.days)).toEqual(['2026-03-01T00:00'])
    const most = await user.getTunnelStats({ id, minutes: 1440, days: 365 })
    expect(startsOf(most.minutes)[0]).toBe('2026-02-28T00:06')
    expect(startsOf(most.days)[0]).toBe('2025-03-02T00:00')
    expect([most.minutes.length, most.days.length]).toEqual([5, 5])
    expect(most.total?.requests).toBe(10)
  })

  it('moves on with the minute and with the day', async () => {
    const { user, id, pass } = await tunnelWithTraffic()
    const begun = now
    await pass('2026-03-01T00:05:00Z')
    now = new Date('2026-03-01T23:59:59.999Z')
    const before = await user.getTunnelStats({ id, minutes: 1435, days: 1 })
    now = new Date('2026-03-02T00:00:00Z')
    const after = await user.getTunnelStats({ id, minutes: 1435, days: 1 })
    now = begun
    expect([before.minutes.length, before.days.length]).toEqual([1, 1])
    expect([after.minutes.length, after.days.length]).toEqual([0, 0])
    expect(after.total?.requests).toBe(1)
  })

  it.each([
    { request: { minutes: -1 }, message: 'minutes: must be from 1 to 1440' },
    { request: { minutes: 1441 }, message: 'minutes: must be from 1 to 1440' },
    { request: { days: -1 }, message: 'days: must be from 1 to 365' },
    { request: { days: 366 }, message: 'days: must be from 1 to 365' },
    {
      request: { minutes: 2_147_483_647, days: -2_147_483_648 },
      message: 'minutes: must be from 1 to 1440; days: must be from 1 to 365',
    },
  ])('refuses $message', async ({ request, message }) => {
    const { user, id } = await tunnelWithTraffic()
    expect(await refused(user.getTunnelStats({ id, ...request }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message,
      http: 400,
    })
  })

  it("does not find another user's tunnel, but with admin:read", async () => {
    const { id, pass } = await tunnelWithTraffic()
    await pass('2026-03-01T00:05:00Z')
    expect(await refused(tunnels.user().getTunnelStats({ id }))).toMatchObject(tunnelNotFound)
    const admin = tunnels.user({ scopes: ['tunnels:stats', 'admin:read'] })
    expect((await admin.getTunnelStats({ id })).total?.requests).toBe(1)
  })

  it('does not find what a key is not for, an admin’s neither', async () => {
    const user = tunnels.user()
    const [inside, outside] = [await made(user, { subdomain: 'stats-in' }), await made(user)]
    for (const one of [{ id: user.id }, { scopes: ['tunnels:stats', 'admin:read'] }]) {
      const restricted = tunnels.user({ ...one, subdomains: ['stats-*'] })
      expect(await restricted.getTunnelStats({ id: inside.id })).toMatchObject({ tunnelId: inside.id })
      expect(await refused(restricted.getTunnelStats({ id: outside.id }))).toMatchObject(tunnelNotFound)
    }
  })

  it.each(notTunnelIds)('finds nothing by %s', async (_, id) => {
    expect(await refused(tunnels.user().getTunnelStats({ id }))).toMatchObject(tunnelNotFound)
  })

  it('needs tunnels:stats', async () => {
    const reader = tunnels.user({ scopes: ['tunnels:read'] })
    expect(await refused(reader.getTunnelStats({ id: 'x' }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      body: { required_scope: 'tunnels:stats' },
    })
  })
})
