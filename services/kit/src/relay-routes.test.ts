import { freshNats } from '@instatunnel/test/nats'
import { describe, expect, it } from 'vitest'
import { createClock, openNats, routeOf, routesOn } from '../test/routes.ts'
import { every } from './relay-routes.ts'

const ours = await freshNats({ streams: true })
const within = { timeout: 15_000 }
const docs = routeOf('docs')

const realClock = { now: () => new Date(), every }

/** A relay and one who listens, each by a clock of its own, on a NATS of the test's own. */
async function relayAndWatcher({ isRealTime = false } = {}) {
  const server = await openNats()
  const [relayClock, clock] = [createClock(), createClock()]
  const on = routesOn(server)
  const relay = on.announce(isRealTime ? realClock : relayClock)
  const watcher = on.watch(clock)
  await watcher.ready
  await expect.poll(watcher.liveRelays, within).toBe(1)
  /** The relay says again that it lives, and that has been heard. */
  const hearRelay = async () => {
    relayClock.pass(2000)
    const marker = routeOf(`marker-${relayClock.now().getTime()}`)
    await relay.announce(marker)
    await expect.poll(() => watcher.routesTo(marker.subdomain).length, within).toBe(1)
    await relay.withdraw(marker)
    await expect.poll(() => watcher.routesTo(marker.subdomain).length, within).toBe(0)
  }
  return { server, on, relay, relayClock, watcher, clock, hearRelay }
}

describe('openRelayRoutes', () => {
  it('has heard of everything when it is ready', async () => {
    const { on, relay, clock } = await relayAndWatcher()
    await relay.announceAll(Array.from({ length: 500 }, (_, n) => routeOf(`many-${n}`)))
    const late = on.watch(clock)
    expect(late.isCurrent()).toBe(false)
    await late.ready
    expect(late.isCurrent()).toBe(true)
    expect(late.routesHeldBy(docs.credential)).toHaveLength(500)
    expect(late.liveRelays()).toBe(1)
  })

  it('is ready where there is no relay yet, and no bucket', async () => {
    const on = routesOn(await openNats())
    const watcher = on.watch(createClock())
    await watcher.ready
    expect(watcher.isCurrent()).toBe(true)
    expect(watcher.liveRelays()).toBe(0)
  })

  it('tells of each change of a tunnel', async () => {
    const { relay, watcher } = await relayAndWatcher()
    await relay.announce(docs)
    await expect.poll(() => watcher.changes, within).toEqual(['tun_docs'])
    await relay.withdraw(docs)
    await expect.poll(() => watcher.changes, within).toEqual(['tun_docs', 'tun_docs'])
  })

  it('counts a relay as dead after 6 s of silence, and tells of its tunnels', async () => {
    const { relay, watcher, clock, hearRelay } = await relayAndWatcher()
    await relay.announce(docs)
    await expect.poll(() => watcher.routesTo('docs').length, within).toBe(1)
    clock.pass(5000)
    await hearRelay()
    clock.pass(6000)
    expect(watcher.routesTo('docs')).toHaveLength(1)
    const before = watcher.changes.length
    clock.pass(250)
    expect(watcher.routesTo('docs')).toEqual([])
    expect(watcher.liveRelays()).toBe(0)
    expect(watcher.changes.slice(before)).toEqual(['tun_docs'])
    await hearRelay()
    expect(watcher.routesTo('docs')).toHaveLength(1)
  })

  it('counts no silence of the time that it stood still itself', async () => {
    const { relay, watcher, clock, hearRelay } = await relayAndWatcher()
    await relay.announce(docs)
    await expect.poll(() => watcher.routesTo('docs').length, within).toBe(1)
    clock.standStill(15_000)
    clock.pass(9000)
    expect(watcher.routesTo('docs')).toHaveLength(1)
    await hearRelay()
    clock.pass(2000)
    expect(watcher.routesTo('docs')).toHaveLength(1)
    clock.pass(5000)
    expect(watcher.routesTo('docs')).toEqual([])
  })

  it('goes on whatever is put into the bucket, and whatever its caller throws', async () => {
    const server = await openNats()
    const on = routesOn(server)
    const clock = createClock()
    const relay = on.announce(clock)
    const watcher = on.watch(clock, {
      onChange: () => {
        throw new Error('cannot take it in')
      },
    })
    await watcher.ready
    const { js } = await relay.nats.ready
    for (const key of ['tunnel.tun_docs.agent-of-16-chars', 'relay.relay_c', 'nonsense'])
      await js.publish(`$KV.relay_routes.${key}`, '{"tunnelId": 7}')
    await relay.announce(docs)
    await expect.poll(() => watcher.routesTo('docs').length, within).toBe(1)
    expect(watcher.isCurrent()).toBe(true)
    expect(on.logged.join('')).toContain('an entry that is no route')
    expect(on.logged.join('')).toContain('cannot take it in')
  })

  it('ends, ready or not', async () => {
    const server = await openNats()
    await server.kill()
    const watcher = routesOn(server).watch(createClock())
    expect(watcher.isCurrent()).toBe(false)
    watcher.close()
    await expect(watcher.ready).rejects.toThrow('closed')
    await server.start()
  })
})

describe('while NATS is away', () => {
  it('nothing expires, nor for 10 s after; then all is as it was, though NATS has lost everything', async () => {
    const { server, on, relay, relayClock, watcher, clock, hearRelay } = await relayAndWatcher()
    const names = Array.from({ length: 200 }, (_, n) => `many-${n}`)
    const live = () => names.filter((name) => watcher.routesTo(name).length === 1).length
    await relay.announceAll(names.map((name) => routeOf(name)))
    await expect.poll(live, within).toBe(200)
    const gone = on.announce(createClock(), { relayId: 'relay_gone' })
    await gone.announceAll([docs])
    await expect.poll(() => watcher.routesTo('docs').length, within).toBe(1)
    const before = watcher.changes.length

    await server.kill()
    await expect.poll(watcher.isCurrent, within).toBe(false)
    clock.pass(60_000)
    relayClock.pass(60_000)
    await gone.nats.close() // it dies meanwhile
    expect([live(), watcher.routesTo('docs').length]).toEqual([200, 1])
    expect(relay.superseded).toEqual([])

    await server.start()
    await expect.poll(watcher.isCurrent, within).toBe(true)
    clock.pass(9900)
    expect([live(), watcher.routesTo('docs').length]).toEqual([200, 1])
    await hearRelay()
    clock.pass(250)
    expect([live(), watcher.routesTo('docs').length]).toEqual([200, 0])
    expect(watcher.changes.slice(before).filter((id) => id.startsWith('tun_many'))).toEqual([])
    const late = on.watch(clock)
    await late.ready
    await expect.poll(() => late.routesHeldBy(docs.credential).length, within).toBe(200)
  }, 40_000)

  it('routes are announced and withdrawn as soon as it is back', async () => {
    const { server, on, relay, watcher, clock } = await relayAndWatcher()
    const [shop, blog] = [routeOf('shop'), routeOf('blog')]
    await relay.announceAll([docs, shop])
    await expect.poll(() => watcher.routesHeldBy(docs.credential).length, within).toBe(2)
    await server.kill()
    await expect.poll(watcher.isCurrent, within).toBe(false)
    const begun = performance.now()
    expect(await relay.announce(blog)).toBe('current')
    await relay.withdraw(docs)
    expect(performance.now() - begun).toBeLessThan(2000)
    await server.start()
    const names = (routes: readonly { subdomain: string }[]) =>
      routes.map(({ subdomain }) => subdomain).sort()
    await expect.poll(() => names(watcher.routesHeldBy(docs.credential)), within).toEqual(['blog', 'shop'])
    const late = on.watch(clock)
    await late.ready
    expect(names(late.routesHeldBy(docs.credential))).toEqual(['blog', 'shop'])
  }, 40_000)

  it('two relays take one agent, and the older of its connections is told of when it is back', async () => {
    const { server, on, relay, relayClock, watcher } = await relayAndWatcher()
    const other = on.announce(realClock, { relayId: 'relay_b' })
    await other.announceAll([routeOf('marker')])
    await expect.poll(watcher.liveRelays, within).toBe(2)
    await server.kill()
    expect(await other.announceAll([routeOf('docs', { generation: 2 })])).toEqual(['current'])
    expect(await relay.announce(docs)).toBe('current')
    await server.start()
    await expect.poll(() => watcher.routesTo('docs').map(({ generation }) => generation), within).toEqual([2])
    const superseded = () => {
      relayClock.pass(1000)
      return relay.superseded
    }
    await expect.poll(superseded, within).toEqual(['conn_docs_1'])
    expect(other.superseded).toEqual([])
  }, 40_000)

  it('a service starts, and hears and tells when it comes for the first time', async () => {
    const server = await openNats()
    await server.kill()
    const on = routesOn(server)
    const clock = createClock()
    const [relay, watcher] = [on.announce(clock), on.watch(clock)]
    expect(await relay.announce(docs)).toBe('current')
    await server.start()
    await watcher.ready
    await expect.poll(() => watcher.routesTo('docs').length, within).toBe(1)
  }, 40_000)

  it('everything closes, in a second at most', async () => {
    const { server, relay, watcher } = await relayAndWatcher()
    await relay.announce(docs)
    await server.kill()
    const begun = performance.now()
    await relay.close()
    watcher.close()
    expect(performance.now() - begun).toBeLessThan(2000)
    expect(watcher.isCurrent()).toBe(false)
  })
})

describe('a bucket that somebody deleted', () => {
  it('is made again, all routes in it, and heard again; meanwhile none is missed', async () => {
    const { on, relay, watcher, clock } = await relayAndWatcher({ isRealTime: true })
    await relay.announceAll([docs, routeOf('shop')])
    await expect.poll(() => watcher.changes.length, within).toBe(2)
    const { jsm } = await relay.nats.ready
    await jsm.streams.delete('KV_relay_routes')
    const messages = () => jsm.streams.info('KV_relay_routes').then(({ state }) => state.messages, String)
    await expect.poll(messages, within).toBe(3)
    await expect.poll(watcher.isCurrent, within).toBe(true)
    clock.pass(9000)
    await relay.announceAll([routeOf('blog')])
    await expect.poll(() => watcher.routesHeldBy(docs.credential).length, within).toBe(3)
    expect(watcher.changes).toEqual(['tun_docs', 'tun_shop', 'tun_blog'])
    const late = on.watch(clock)
    await late.ready
    expect(late.routesHeldBy(docs.credential)).toHaveLength(3)
  }, 40_000)

  it('is made again by who carries tunnels, where no one listens', async () => {
    const on = routesOn(await openNats())
    const relay = on.announce(realClock)
    await relay.announce(docs)
    const { jsm } = await relay.nats.ready
    await jsm.streams.delete('KV_relay_routes')
    const messages = () => jsm.streams.info('KV_relay_routes').then(({ state }) => state.messages, String)
    await expect.poll(messages, within).toBe(2)
  }, 40_000)
})

describe('the users of NATS', () => {
  it('may do what it takes: a relay announces, tunnels listens and cannot announce', async () => {
    const on = routesOn(ours, ours.seeds)
    const clock = createClock()
    const tunnels = on.connectAs('tunnels')
    const watchers = [on.watch(clock, { nats: tunnels }), on.watch(clock, { nats: on.connectAs('relay') })]
    await Promise.all(watchers.map(({ ready }) => ready))
    const liar = on.announce(clock, { nats: tunnels, relayId: 'relay_liar' })
    expect(await liar.announceAll([routeOf('lie')])).toEqual(['current'])
    const [a, b] = [on.announce(clock), on.announce(clock, { relayId: 'relay_b' })]
    await a.announce(docs)
    await b.announceAll([routeOf('docs', { generation: 2 })])
    expect(await a.announce(docs)).toBe('superseded')
    for (const { routesTo } of watchers)
      await expect.poll(() => routesTo('docs').map(({ relayId }) => relayId), within).toEqual(['relay_b'])
    await b.close()
    for (const { routesTo, liveRelays } of watchers) {
      await expect.poll(() => routesTo('docs'), within).toEqual([])
      expect(liveRelays()).toBe(1)
    }
    expect(on.logged.join('')).toContain('$KV.relay_routes.relay.relay_liar')
  }, 40_000)
})
