import { setTimeout as delay } from 'node:timers/promises'
import { newId } from '@instatunnel/kit/id'
import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { publishEvent } from '@instatunnel/kit/publisher'
import { openRelayRoutes } from '@instatunnel/kit/relay-routes'
import { TunnelUpdated } from '@instatunnel/proto/events/v1/events'
import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { startNeighbours } from '../test/neighbours.ts'
import { newTunnel, type StartedRelay, startRelay, type Tunnel } from '../test/start-relay.ts'

const within = { timeout: 15_000 }
const log = createLog('test', 'silent')
const [nats, fragile] = await Promise.all([freshNats({ streams: true }), freshNats({ streams: true })])
const neighbours = await startNeighbours()
afterAll(() => neighbours.close())

const twoRelays = (on = nats) =>
  Promise.all([startRelay(neighbours, on), startRelay(neighbours, on)]) as Promise<
    [StartedRelay, StartedRelay]
  >

/** A tunnel that tunnels knows of. */
function knownTunnel(): Tunnel {
  const tunnel = newTunnel()
  neighbours.subdomains.add(tunnel.subdomain)
  return tunnel
}

/** Resolves once a relay sends the tunnel's visitors to an agent. */
const reachable = (relay: StartedRelay, { subdomain }: Tunnel) =>
  expect.poll(async () => (await relay.visit(subdomain)).status, within).toBe(200)

async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const began = performance.now()
  return { value: await work, ms: performance.now() - began }
}

describe('an agent that comes and goes', () => {
  it('is told as an event and as a route, once each', async () => {
    const observer = await nats.observe()
    const watcher = connectNats({ url: nats.url, seed: nats.seeds.tunnels, name: 'tunnels', log })
    const routes = openRelayRoutes({ nats: watcher, log, now: () => new Date() })
    const relay = await startRelay(neighbours, nats)
    const tunnel = newTunnel()
    const agent = await relay.agent(tunnel)
    const of = (type: string) => (event: { type: string; data: { tunnel_id?: string; tunnelId?: string } }) =>
      event.type.endsWith(type) && (event.data.tunnelId ?? event.data.tunnel_id) === tunnel.id
    await observer.event(of('tunnel.connected'))
    await expect.poll(() => routes.routesOf(tunnel.id).length, within).toBe(1)
    agent.link.close('leaving')
    await observer.event(of('tunnel.disconnected'))
    await expect.poll(() => routes.routesOf(tunnel.id).length, within).toBe(0)
    expect(observer.events.filter(({ data }) => JSON.stringify(data).includes(tunnel.id))).toHaveLength(2)
    routes.close()
    await watcher.close()
  })
})

describe("a tunnel's own response timeout", () => {
  it('holds at a relay whose agent is at another, and changes with the tunnel', async () => {
    const [a, b] = await twoRelays()
    const tunnel = knownTunnel()
    const { id, subdomain, userId } = tunnel
    const claims = { tunnel: { id, subdomain, tokenGeneration: 0, responseTimeout: 3600 } }
    const agent = await b.agent(tunnel, { claims })
    agent.answer('here')
    await reachable(a, tunnel)
    agent.answer(undefined)
    const changed = TunnelUpdated.toJSON({
      ...{ tunnelId: id, userId, subdomain },
      ...{ changed: ['response_timeout'], responseTimeout: 1 },
    })
    const teller = connectNats({ url: nats.url, seed: nats.seeds.tunnels, name: 'tunnels', log })
    const event = { id: newId('evt_', new Date()), type: 'tunnel.updated', subject: id, time: new Date() }
    await publishEvent(teller, 'tunnels', { ...event, data: changed as object })
    // Until it is heard a visit would wait for an hour: each is given up after a moment, and the next one tried.
    const visit = () => Promise.race([a.visit(subdomain).then(({ status }) => status), delay(2000)])
    await expect.poll(visit, within).toBe(504)
    await teller.close()
  })
})

describe('a visitor', () => {
  it('of an agent that was just lost waits, and is answered once it is back', async () => {
    const relay = await startRelay(neighbours, nats)
    const tunnel = knownTunnel()
    ;(await relay.agent(tunnel)).socket.destroy()
    await expect.poll(() => relay.logged.join(), within).toContain('agent disconnected')
    const waiting = relay.visit(tunnel.subdomain)
    const again = await relay.agent(tunnel, { generation: 2 })
    again.answer('back')
    expect(await waiting).toMatchObject({ status: 200, text: 'back' })
  })

  it('whose agent was at another relay waits, and is answered once it is back, at either', async () => {
    const [a, b] = await twoRelays()
    const tunnel = knownTunnel()
    const generations = [1, 2, 3].values()
    const connect = async (relay: StartedRelay) => {
      const agent = await relay.agent(tunnel, { generation: generations.next().value as number })
      agent.answer('here')
      return agent
    }
    const first = await connect(b)
    await reachable(a, tunnel)
    first.socket.destroy()
    await expect.poll(() => b.logged.join(), within).toContain('agent disconnected')
    const atEither = [a.visit(tunnel.subdomain), b.visit(tunnel.subdomain)]
    const second = await connect(a)
    expect(await Promise.all(atEither)).toMatchObject([{ status: 200 }, { status: 200 }])
    second.socket.destroy()
    await expect.poll(() => a.logged.join(), within).toContain('agent disconnected')
    const atOther = a.visit(tunnel.subdomain)
    await connect(b)
    expect(await atOther).toMatchObject({ status: 200 })
  })

  it('is answered 502 at once where no agent was, or where it has left for good', async () => {
    const relay = await startRelay(neighbours, nats)
    const [never, left] = [knownTunnel(), knownTunnel()]
    const agent = await relay.agent(left)
    agent.link.goaway('leaving')
    await agent.ended
    for (const { subdomain } of [never, left]) {
      const { value, ms } = await timed(relay.visit(subdomain))
      expect(value).toMatchObject({ status: 502, body: { error: 'tunnel_offline' } })
      expect(ms).toBeLessThan(2000)
    }
  })
})

describe('two connections of one agent', () => {
  it('at two relays while NATS is away are one again once it is back: the newer', async () => {
    const [a, b] = await twoRelays(fragile)
    const [tunnel, reversed] = [knownTunnel(), knownTunnel()]
    await fragile.kill()
    const [older, newer, newerFirst, olderLast] = [
      await a.agent(tunnel, { generation: 1 }),
      await b.agent(tunnel, { generation: 2 }),
      await a.agent(reversed, { generation: 2 }),
      await b.agent(reversed, { generation: 1 }),
    ]
    for (const agent of [newer, newerFirst]) agent.answer('newer')
    await fragile.start()
    expect(await older.sentAway).toBe('replaced')
    expect(await olderLast.sentAway).toBe('replaced')
    for (const relay of [a, b])
      for (const { subdomain } of [tunnel, reversed])
        await expect.poll(async () => (await relay.visit(subdomain)).text, within).toBe('newer')
    expect([newer.link.ended, newerFirst.link.ended]).toEqual([false, false])
  }, 40_000)
})
