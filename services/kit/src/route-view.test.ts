import { describe, expect, it } from 'vitest'
import { routeOf } from '../test/routes.ts'
import { type Route, relayKey, routeKey } from './route.ts'
import { createRouteView } from './route-view.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const PEER = { peerAddress: '10.0.0.1:7000' }

function openView() {
  const changes: string[] = []
  const view = createRouteView((tunnelId) => changes.push(tunnelId))
  const hear = (route: Route, at = 0) => view.hear(routeKey(route), bytes(route), at, at)
  const hearRelay = (relayId: string, at = 0, now = at) => view.hear(relayKey(relayId), bytes(PEER), at, now)
  /** What changed since it was last asked. */
  const changed = () => changes.splice(0)
  return { ...view, hear, hearRelay, changed, view }
}

describe('createRouteView', () => {
  it('finds a route by subdomain, tunnel and credential', () => {
    const view = openView()
    view.hearRelay('relay_a')
    const [docs, shop] = [
      routeOf('docs'),
      routeOf('shop', { credential: { type: 'tunnel_token', id: 'key_1' } }),
    ]
    view.hear(docs)
    view.hear(shop)
    expect(view.routesTo('docs')).toEqual([{ ...docs, ...PEER }])
    expect(view.routesOf('tun_shop')).toEqual([{ ...shop, ...PEER }])
    expect(view.routesHeldBy({ type: 'api_key', id: 'key_1' })).toEqual([{ ...docs, ...PEER }])
    expect(view.routesTo('tun_docs')).toEqual([])
    expect(view.changed()).toEqual(['tun_docs', 'tun_shop'])
  })

  it('answers with the same list as long as nothing changes, and never changes one', () => {
    const view = openView()
    view.hearRelay('relay_a')
    view.hear(routeOf('docs'))
    const list = view.routesTo('docs')
    view.hear(routeOf('docs'), 10)
    expect(view.routesTo('docs')).toBe(list)
    view.hear(routeOf('docs', { agent: 'another-agent-of-it' }))
    expect(list).toHaveLength(1)
    expect(view.routesTo('docs')).toHaveLength(2)
  })

  it('says that a tunnel changed once its routes are as they are then', () => {
    const seen: number[] = []
    const view = createRouteView((tunnelId) => seen.push(view.routesOf(tunnelId).length))
    const [one, two] = [routeOf('docs'), routeOf('docs', { agent: 'another-agent-of-it' })]
    for (const route of [one, two]) view.hear(routeKey(route), bytes(route), 0, 0)
    expect(seen).toEqual([])
    view.hear(relayKey('relay_a'), bytes(PEER), 0, 0)
    view.forget(routeKey(one))
    view.forget(routeKey(one))
    view.forget(relayKey('relay_a'))
    expect(seen).toEqual([2, 1, 0])
  })

  it('follows a connection to another relay and subdomain', () => {
    const view = openView()
    view.hearRelay('relay_a')
    view.hearRelay('relay_b')
    view.hear(routeOf('docs'))
    view.hear({ ...routeOf('docs'), subdomain: 'manual', relayId: 'relay_b', generation: 2 })
    expect(view.routesTo('docs')).toEqual([])
    expect(view.routesTo('manual')).toMatchObject([{ relayId: 'relay_b', generation: 2 }])
    view.forget(relayKey('relay_a'))
    expect(view.changed()).toEqual(['tun_docs', 'tun_docs'])
    expect(view.routesTo('manual')).toHaveLength(1)
  })

  it('counts no routes of a relay that was silent for 6 s, until it is heard again', () => {
    const view = openView()
    view.hearRelay('relay_a')
    view.hearRelay('relay_b')
    for (const name of ['docs', 'shop']) view.hear(routeOf(name))
    view.hear(routeOf('docs', { agent: 'another-agent-of-it' }))
    view.hear(routeOf('blog', { relayId: 'relay_b' }))
    view.changed()
    view.hearRelay('relay_b', 5000)
    view.sweep(6000)
    expect(view.changed()).toEqual([])
    view.sweep(6001)
    expect(view.changed()).toEqual(['tun_docs', 'tun_shop'])
    expect(view.liveRelays()).toBe(1)
    expect(view.routesTo('docs')).toEqual([])
    expect(view.routesTo('blog')).toHaveLength(1)
    view.hear(routeOf('docs', { generation: 2 }), 6500)
    expect(view.changed()).toEqual([])
    view.hearRelay('relay_a', 7000)
    expect(view.changed().sort()).toEqual(['tun_docs', 'tun_shop'])
    expect(view.routesTo('docs')).toHaveLength(2)
  })

  it('takes no relay for alive whose last word was old when it was first heard', () => {
    const view = openView()
    view.hear(routeOf('docs'))
    view.hearRelay('relay_a', -6001, 0)
    expect(view.liveRelays()).toBe(0)
    view.hearRelay('relay_a', -6000, 0)
    expect(view.liveRelays()).toBe(1)
    view.hearRelay('relay_a', -20_000, 0) // told anew, when it is known to be later
    view.sweep(0)
    expect(view.routesTo('docs')).toHaveLength(1)
  })

  it('forgets a route that is not put again for 30 s, though its relay lives', () => {
    const view = openView()
    view.hear(routeOf('docs'))
    view.hear(routeOf('shop'))
    view.hear(routeOf('docs'), 1)
    view.hearRelay('relay_a', 30_001)
    view.sweep(30_001)
    expect(view.routesTo('docs')).toHaveLength(1)
    expect(view.routesTo('shop')).toEqual([])
  })

  it('takes a relay where it is now', () => {
    const view = openView()
    view.hearRelay('relay_a')
    view.hear(routeOf('docs'))
    view.view.hear(relayKey('relay_a'), bytes({ peerAddress: 'other:1' }), 0, 0)
    expect(view.routesTo('docs')).toMatchObject([{ peerAddress: 'other:1' }])
    expect(view.changed()).toEqual(['tun_docs', 'tun_docs'])
  })

  it.each([
    ['tunnel.tun_docs.agent-of-16-chars', { ...routeOf('docs'), tunnelId: 'tun_other' }],
    ['tunnel.tun_docs.agent-of-16-chars', { ...routeOf('docs'), generation: '1' }],
    ['tunnel.tun_docs.agent-of-16-chars', { ...routeOf('docs'), credential: { type: 'cookie', id: '1' } }],
    ['tunnel.tun_docs.agent-of-16-chars', null],
    ['relay.relay_a', {}],
    ['relay.relay_a', [1]],
    ['other', {}],
  ])('takes no %s that is %j', (key, value) => {
    const view = openView()
    view.hearRelay('relay_a')
    view.hear(routeOf('docs'))
    view.changed()
    expect(view.view.hear(key, bytes(value), 0, 0)).toBe(false)
    expect(view.view.hear(key, new TextEncoder().encode('{'), 0, 0)).toBe(false)
    expect(view.routesTo('docs')).toEqual([{ ...routeOf('docs'), ...PEER }])
    expect(view.changed()).toEqual([])
  })

  it('holds nothing of what is gone', () => {
    const view = openView()
    for (let round = 0; round < 3; round++) {
      view.hearRelay('relay_a')
      for (let n = 0; n < 100; n++) view.hear(routeOf(`many-${n}`))
      for (let n = 0; n < 100; n++) view.forget(routeKey(routeOf(`many-${n}`)))
      view.forget(relayKey('relay_a'))
    }
    expect(view.liveRelays()).toBe(0)
    expect(view.routesHeldBy({ type: 'api_key', id: 'key_1' })).toEqual([])
    expect(view.changed()).toHaveLength(600)
  })
})
