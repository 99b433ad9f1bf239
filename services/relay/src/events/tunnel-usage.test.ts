import type { Observer } from '@instatunnel/test/observer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ownNats } from '../../test/own-nats.ts'
import { startTunnelUsage } from './tunnel-usage.ts'

const within = { timeout: 15_000 }
const MINUTE_MS = 60_000
/** In the middle of a minute. */
const NOW = new Date('2026-07-01T12:00:30.000Z')

interface Told {
  tunnel_id: string
  user_id: string
  requests: number
  bytes: number
  minute: string
  bytes_in: number
  bytes_out: number
  status_classes: number[]
  latencies: number[]
}

async function open({ now = () => NOW } = {}) {
  const server = await ownNats()
  const observer = await server.observe()
  const usage = startTunnelUsage({ nats: server.connect('relay'), log: server.log, now })
  onTestFinished(() => usage.close())
  return { server, observer, usage, told: () => batchesOf(observer).flat() }
}

const batchesOf = ({ events }: Observer): Told[][] =>
  events.filter(({ subject }) => subject === 'instatunnel.events.usage.tunnel').map(({ data }) => data.uses)
const sum = (told: readonly Told[], of: (use: Told) => number | undefined) =>
  told.reduce((all, use) => all + (of(use) ?? 0), 0)

const sumOf = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b)

describe('startTunnelUsage', () => {
  it('tells in one batch what passed through each tunnel since the batch before', async () => {
    const { observer, usage } = await open()
    const [docs, shop] = [usage.meter('tun_docs', 'user_1'), usage.meter('tun_shop', 'user_2')]
    docs.request(2, 0.4)
    docs.request(2, 0.3)
    docs.request(4, 12)
    docs.request(5, 1e9)
    docs.bytesIn(100)
    docs.bytesOut(2 ** 40)
    docs.bytesOut(1)
    shop.bytesIn(7)
    const event = await observer.event(({ subject }) => subject === 'instatunnel.events.usage.tunnel')
    const minute = '2026-07-01T12:00:00.000Z'
    expect(event).toMatchObject({
      stream: 'INSTATUNNEL_USAGE',
      id: expect.stringMatching(/^evt_/),
      headers: { 'ce-source': '/instatunnel/relay', 'ce-time': NOW.toISOString() },
      data: {
        uses: [
          {
            tunnel_id: 'tun_docs',
            user_id: 'user_1',
            requests: 4,
            bytes: 2 ** 40 + 101,
            minute,
            bytes_in: 100,
            bytes_out: 2 ** 40 + 1,
            status_classes: [0, 2, 0, 1, 1],
            latencies: [0, 2, 34, 1, 127, 1],
          },
          { tunnel_id: 'tun_shop', user_id: 'user_2', bytes: 7, minute, bytes_in: 7 },
        ],
      },
    })
  })

  it('has one meter for a tunnel, and tells of it also when it was not used for long', async () => {
    const { usage, told } = await open()
    const first = usage.meter('tun_docs', 'user_1')
    expect(usage.meter('tun_docs', 'user_1')).toBe(first)
    first.request(2, 1)
    await expect.poll(() => usage.meter('tun_docs', 'user_1') === first, within).toBe(false)
    first.request(2, 1)
    usage.meter('tun_docs', 'user_1').request(2, 1)
    await expect.poll(() => sum(told(), ({ requests }) => requests), within).toBe(3)
  })

  it('tells of the minute that things happened in', async () => {
    // It begins 0.7 s before a minute ends, however long its NATS took to start.
    let ahead: number | undefined
    const now = () => {
      ahead ??= MINUTE_MS - (Date.now() % MINUTE_MS) - 700
      return new Date(Date.now() + ahead)
    }
    const { usage, told } = await open({ now })
    const docs = usage.meter('tun_docs', 'user_1')
    const counted = new Map<string, number>()
    const begun = now().getTime()
    await expect
      .poll(
        () => {
          docs.request(2, 1)
          const at = now().getTime()
          const minute = new Date(at - (at % MINUTE_MS)).toISOString()
          counted.set(minute, (counted.get(minute) ?? 0) + 1)
          return at - begun
        },
        { timeout: 10_000, interval: 5 },
      )
      .toBeGreaterThan(2500)
    expect(counted.size).toBe(2)
    const perMinute = () => {
      const all = new Map<string, number>()
      for (const { minute, requests } of told()) all.set(minute, (all.get(minute) ?? 0) + requests)
      return [...all].sort()
    }
    await expect.poll(() => sum(told(), ({ requests }) => requests), within).toBe(sumOf(counted))
    expect(perMinute().map(([minute]) => minute)).toEqual([...counted.keys()])
    // Timers are as exact as a millisecond.
    for (const [minute, requests] of perMinute())
      expect(Math.abs(requests - (counted.get(minute) ?? 0))).toBeLessThanOrEqual(2)
  })

  it('tells what is left when it is closed, and then nothing twice', async () => {
    const { usage, told } = await open()
    usage.meter('tun_docs', 'user_1').request(2, 1)
    await usage.close()
    usage.meter('tun_shop', 'user_1').request(2, 1)
    await usage.close()
    await expect
      .poll(() => told().map(({ tunnel_id }) => tunnel_id), within)
      .toEqual(['tun_docs', 'tun_shop'])
  })

  it('tells of more than fits into one message in several', async () => {
    const { observer, usage, told } = await open()
    for (let n = 0; n < 4500; n++) {
      const meter = usage.meter(`tun_${String(n).padStart(26, '0')}`, `user_${String(n).padStart(26, '0')}`)
      meter.bytesOut(n)
      for (let ms = 0.4; ms < 100_000; ms *= 1.1) meter.request(2, ms)
    }
    await expect.poll(() => new Set(told().map(({ tunnel_id }) => tunnel_id)).size, within).toBe(4500)
    expect(sum(told(), ({ bytes_out }) => bytes_out)).toBe((4499 * 4500) / 2)
    for (const batch of batchesOf(observer)) expect(JSON.stringify(batch).length).toBeLessThan(1_000_000)
  })

  it('loses no count and tells none twice while NATS is away', async () => {
    const { server, observer, usage, told } = await open()
    const docs = usage.meter('tun_docs', 'user_1')
    docs.request(2, 1)
    const requests = () => sum(told(), ({ requests }) => requests)
    await expect.poll(requests, within).toBe(1)
    await server.kill()
    let used = 1
    const waits = () => server.logged.filter((line) => line.includes('tunnel usage waits')).length
    const use = () => {
      for (let n = 0; n < 10; n++) docs.request(n % 6, n)
      docs.bytesIn(5)
      used += 10
    }
    // Long enough that a batch is tried, and tried again, in vain.
    await expect
      .poll(() => {
        use()
        return waits()
      }, within)
      .toBeGreaterThan(1)
    await server.start()
    use()
    await expect.poll(requests, within).toBe(used)
    expect(sum(told(), ({ bytes_in }) => bytes_in)).toBe((used - 1) / 2)
    expect(sum(told(), ({ status_classes }) => status_classes?.reduce((a, b) => a + b))).toBe(used)
    const ids = observer.events.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  }, 40_000)

  it('goes on where NATS came back without its streams', async () => {
    const { server, observer, usage, told } = await open()
    usage.meter('tun_docs', 'user_1').bytesIn(1)
    await expect.poll(() => told().length, within).toBe(1)
    await server.kill()
    await server.rob()
    await server.start()
    usage.meter('tun_shop', 'user_1').bytesIn(2)
    await observer.close()
    const late = await server.observe()
    await expect.poll(() => batchesOf(late).flat().at(-1)?.tunnel_id, within).toBe('tun_shop')
  }, 40_000)

  it('closes within a second while NATS is away', async () => {
    const { server, usage } = await open()
    await server.kill()
    usage.meter('tun_docs', 'user_1').request(2, 1)
    const begun = performance.now()
    await usage.close()
    expect(performance.now() - begun).toBeLessThan(2000)
  })
})
