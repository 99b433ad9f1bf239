import { describe, expect, it } from 'vitest'
import { createClock, openNats, routeOf, routesOn } from '../test/routes.ts'
import type { Route } from './route.ts'

const within = { timeout: 15_000 }

/** Two relays and one who listens, on a NATS of the test's own. */
async function twoRelays() {
  const server = await openNats()
  const clock = createClock()
  const on = routesOn(server)
  const [a, b] = [on.announce(clock), on.announce(clock, { relayId: 'relay_b' })]
  const watcher = on.watch(clock)
  await watcher.ready
  await expect.poll(watcher.liveRelays, within).toBe(2)
  return { server, clock, on, a, b, watcher }
}

const first = (other: Partial<Route> = {}) => routeOf('docs', { generation: 1, ...other })
const second = (other: Partial<Route> = {}) =>
  routeOf('docs', { generation: 2, relayId: 'relay_b', ...other })
const connections = (routes: readonly Route[]) => routes.map(({ connectionId }) => connectionId)

describe('announceRoutes', () => {
  it('tells who listens of a route and of its end', async () => {
    const { a, watcher } = await twoRelays()
    expect(await a.announce(first())).toBe('current')
    await expect
      .poll(() => watcher.routesTo('docs'), within)
      .toEqual([{ ...first(), peerAddress: 'relay_a:7000' }])
    await a.withdraw(first())
    await expect.poll(() => watcher.routesTo('docs'), within).toEqual([])
  })

  it('replaces an older connection of the same agent, and tells its relay', async () => {
    const { a, b, clock, watcher } = await twoRelays()
    expect(await a.announce(first())).toBe('current')
    expect(await b.announce(second())).toBe('current')
    await expect.poll(() => connections(watcher.routesTo('docs')), within).toEqual(['conn_docs_2'])
    expect(a.superseded).toEqual([])
    clock.pass(10_000)
    await expect.poll(() => a.superseded, within).toEqual(['conn_docs_1'])
    expect(connections(watcher.routesTo('docs'))).toEqual(['conn_docs_2'])
  })

  it('refuses a connection that is older than the one that stands there, or as old', async () => {
    const { a, b, watcher } = await twoRelays()
    expect(await b.announce(second())).toBe('current')
    expect(await a.announce(first())).toBe('superseded')
    expect(await a.announce(first({ generation: 2, connectionId: 'conn_other' }))).toBe('superseded')
    await expect.poll(() => connections(watcher.routesTo('docs')), within).toEqual(['conn_docs_2'])
    expect(a.superseded).toEqual([])
  })

  it('lets the newer of two win, whichever relay is quicker', async () => {
    const { a, b, clock, watcher } = await twoRelays()
    const tunnels = Array.from({ length: 200 }, (_, n) => `race-${n}`)
    const race = async (tunnel: string) => {
      const [older, newer] = [routeOf(tunnel), routeOf(tunnel, { generation: 2, relayId: 'relay_b' })]
      const both = [() => a.announce(older), () => b.announce(newer)]
      if (tunnel.length % 2) both.reverse()
      await Promise.all(both.map((announce) => announce()))
    }
    await Promise.all(tunnels.map(race))
    const newest = tunnels.map((tunnel) => [`conn_${tunnel}_2`])
    await expect
      .poll(() => tunnels.map((tunnel) => connections(watcher.routesTo(tunnel))), within)
      .toEqual(newest)
    clock.pass(10_000)
    await a.announce(routeOf('last'))
    await expect.poll(() => watcher.routesTo('last').length, within).toBe(1)
    // The clock was ahead of what the other relay had said.
    await expect.poll(watcher.liveRelays, within).toBe(2)
    expect(tunnels.map((tunnel) => connections(watcher.routesTo(tunnel)))).toEqual(newest)
  })

  it('fences between connections to one relay as well', async () => {
    const { a, watcher } = await twoRelays()
    await a.announce(first())
    expect(await a.announce(second({ relayId: 'relay_a' }))).toBe('current')
    expect(a.superseded).toEqual(['conn_docs_1'])
    expect(await a.announce(first())).toBe('superseded')
    await a.withdraw(first())
    await expect.poll(() => connections(watcher.routesTo('docs')), within).toEqual(['conn_docs_2'])
  })

  it('lets several agents carry one tunnel', async () => {
    const { a, b, watcher } = await twoRelays()
    await a.announce(first())
    await b.announce(second({ agent: 'another-agent-of-it' }))
    await expect.poll(() => watcher.routesOf('tun_docs').length, within).toBe(2)
  })

  it('withdraws its own connection only', async () => {
    const { a, b, watcher } = await twoRelays()
    await a.announce(first())
    await b.announce(second())
    await a.withdraw(first())
    await a.announce(routeOf('marker'))
    await expect.poll(() => watcher.routesTo('marker').length, within).toBe(1)
    expect(connections(watcher.routesTo('docs'))).toEqual(['conn_docs_2'])
  })

  it('withdraws everything when it is closed, itself first', async () => {
    const { a, b, watcher } = await twoRelays()
    await a.announceAll(Array.from({ length: 300 }, (_, n) => routeOf(`many-${n}`)))
    await b.announce(second())
    await expect.poll(() => watcher.routesHeldBy(first().credential).length, within).toBe(301)
    await a.close()
    await expect.poll(watcher.liveRelays, within).toBe(1)
    expect(connections(watcher.routesHeldBy(first().credential))).toEqual(['conn_docs_2'])
    await a.close()
  })

  it('gives up where the connection was closed before it', async () => {
    const { a } = await twoRelays()
    await a.announce(first())
    await a.nats.close()
    await a.close()
    expect(await a.announce(first())).toBe('current')
  })

  it('puts a route again before the bucket forgets it', async () => {
    const { a, clock, on } = await twoRelays()
    await a.announce(first())
    const { jsm } = await a.nats.ready
    const key = '$KV.relay_routes.tunnel.tun_docs.agent-of-16-chars'
    const sequence = async () => (await jsm.direct.getMessage('KV_relay_routes', { last_by_subj: key }))?.seq
    const before = await sequence()
    clock.pass(9900)
    clock.pass(100)
    await expect.poll(sequence, within).toBeGreaterThan(before ?? 0)
    expect(on.logged).toEqual([])
    expect((await jsm.streams.info('KV_relay_routes')).config).toMatchObject({
      storage: 'memory',
      max_msgs_per_subject: 1,
      max_age: 30_000_000_000,
    })
  })

  it('spreads 10,000 routes over the 10 s in which all are put again', async () => {
    const { a, clock, on, watcher } = await twoRelays()
    await a.announceAll(Array.from({ length: 10_000 }, (_, n) => routeOf(`many-${n}`)))
    const { jsm } = await a.nats.ready
    let markers = 0
    /** How much was put so far, all that is to be put at this time of the clock among it. */
    const settled = async () => {
      const marker = `marker-${markers++}`
      await a.announce(routeOf(marker))
      await expect.poll(() => watcher.routesTo(marker).length, { timeout: 30_000 }).toBe(1)
      return (await jsm.streams.info('KV_relay_routes')).state.last_seq
    }
    clock.pass(9900)
    const before = await settled()
    for (let tick = 0; tick < 20; tick++) clock.pass(100)
    const inTwoSeconds = (await settled()) - before
    expect(inTwoSeconds).toBeGreaterThan(1500)
    expect(inTwoSeconds).toBeLessThan(2500)
    for (let tick = 0; tick < 80; tick++) clock.pass(100)
    const inTenSeconds = (await settled()) - before
    expect(inTenSeconds).toBeGreaterThan(9800)
    expect(inTenSeconds).toBeLessThan(10_300)
    expect(on.logged).toEqual([])
  }, 60_000)
})
