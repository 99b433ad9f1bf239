import { describe, expect, it } from 'vitest'
import { createWaitingUsage } from './waiting-usage.ts'

const NOON = Date.parse('2026-07-01T12:00:00Z')
const useOf = (tunnel: number, minute = 0, requests = 1, latencies = [0, requests]) => ({
  tunnelId: `tun_${tunnel}`,
  userId: 'user_1',
  minute: new Date(NOON + minute * 60_000),
  requests,
  bytes: 3,
  bytesIn: 1,
  bytesOut: 2,
  statusClasses: [0, requests, 0, 0, 0],
  latencies,
})

describe('createWaitingUsage', () => {
  it('adds up what waits of a tunnel and minute', () => {
    const waiting = createWaitingUsage()
    waiting.add(useOf(1, 0, 2, [3, 1, 7, 1]))
    waiting.add(useOf(1, 1))
    waiting.add(useOf(2))
    waiting.add(useOf(1, 0, 3, [0, 1, 7, 2]))
    expect(waiting.nextBatch()).toEqual([
      { ...useOf(1, 0, 5, [0, 1, 3, 1, 7, 3]), bytes: 6, bytesIn: 2, bytesOut: 4 },
      useOf(1, 1),
      useOf(2),
    ])
    expect(waiting.nextBatch()).toEqual([])
  })

  it('gives out 2,000 at once, and fewer where they are large', () => {
    const waiting = createWaitingUsage()
    for (let n = 0; n < 5000; n++) waiting.add(useOf(n))
    expect([1, 2, 3, 4].map(() => waiting.nextBatch().length)).toEqual([2000, 2000, 1000, 0])
    const latencies = Array.from({ length: 256 }, (_, i) => (i % 2 ? 4_294_967_295 : i / 2))
    for (let n = 0; n < 2000; n++) waiting.add(useOf(n, 0, 1, latencies))
    const batch = waiting.nextBatch()
    expect(batch.length).toBeGreaterThan(300)
    expect(JSON.stringify(batch).length).toBeLessThan(950_000)
  })

  it("makes one of a tunnel's minutes where too many wait, and loses no count", () => {
    const waiting = createWaitingUsage({ most: 100 })
    for (let minute = 0; minute < 600; minute++)
      for (let tunnel = 0; tunnel < 30; tunnel++) waiting.add(useOf(tunnel, minute))
    expect(waiting.size).toBeLessThanOrEqual(100)
    const uses = waiting.nextBatch()
    const sum = (of: (use: (typeof uses)[number]) => number) => uses.reduce((all, use) => all + of(use), 0)
    expect(sum(({ requests }) => requests)).toBe(18_000)
    expect(sum(({ bytesOut }) => bytesOut)).toBe(36_000)
    expect(sum(({ latencies }) => latencies[1] ?? 0)).toBe(18_000)
    expect(uses.at(-1)?.minute).toEqual(useOf(0, 599).minute)
  })

  it('lets wait as many tunnels as there are', () => {
    const waiting = createWaitingUsage({ most: 100 })
    for (let minute = 0; minute < 5; minute++)
      for (let tunnel = 0; tunnel < 500; tunnel++) waiting.add(useOf(tunnel, minute))
    expect(waiting.size).toBeLessThanOrEqual(1000)
    expect(waiting.nextBatch().reduce((all, { requests }) => all + requests, 0)).toBe(2500)
  })
})
