import type { LiveRoute } from '@instatunnel/kit/relay-routes'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openConnections } from '../test/agents.ts'
import { createClock } from '../test/clock.ts'
import { createArrivals } from './arrivals.ts'
import { createEndedCredentials } from './ended-credentials.ts'
import { createRenames } from './renames.ts'

/** A relay with agents of its own, and routes to those of others. */
function open(routes: LiveRoute[] = []) {
  const clock = createClock()
  const { connections, connect } = openConnections(clock)
  const arrivals = createArrivals(clock)
  onTestFinished(() => arrivals.close())
  const forgotten: string[] = []
  const renamed = createRenames({
    connections,
    arrivals,
    ended: createEndedCredentials(clock.now),
    known: { forget: (subdomain) => forgotten.push(subdomain) },
    routes: {
      routesOf: (tunnelId) => routes.filter((route) => route.tunnelId === tunnelId),
      routesTo: (subdomain) => routes.filter((route) => route.subdomain === subdomain),
      forget(tunnelId, matches) {
        const kept = routes.filter((route) => route.tunnelId !== tunnelId || !matches(route))
        routes.splice(0, routes.length, ...kept)
      },
    },
  })
  const rename = (subdomain: string, former = 'docs', at = clock.now()) =>
    renamed({ tunnelId: 'tun_1', subdomain, former, at })
  /** Whether visitors of a name wait for an agent. */
  const areWaiting = async (subdomain: string) => {
    const waits = arrivals.expected(subdomain)
    const isWaiting = (await Promise.race([waits, Promise.resolve('waits')])) === 'waits'
    arrivals.arrived(subdomain)
    await waits
    return isWaiting
  }
  return { clock, connections, connect, rename, areWaiting, routes, forgotten }
}

const routeTo = (subdomain: string, issuedAt: number): LiveRoute => ({
  ...{
    tunnelId: 'tun_1',
    userId: 'user_1',
    subdomain,
    connectionId: 'conn_9',
    agent: 'agent_9',
    generation: 1,
  },
  ...{
    relayId: 'relay_2',
    peerAddress: '127.0.0.1:1',
    issuedAt,
    credential: { type: 'api_key', id: 'key_1' },
  },
})

describe('a tunnel that is renamed', () => {
  it('has no agent under its former name at once, and visitors of the new one wait for it', async () => {
    const { connect, connections, rename, areWaiting, forgotten } = open()
    const agent = connect()
    rename('manual')
    expect(connections.at('docs')).toEqual([])
    expect(await agent.sentAway).toBe('tunnel_changed')
    expect(forgotten).toEqual(['manual', 'docs'])
    expect(await areWaiting('manual')).toBe(true)
    expect(await areWaiting('docs')).toBe(false)
  })

  it('is told again, by its event, without any effect', async () => {
    const { connect, connections, rename, areWaiting, clock } = open()
    const at = clock.now()
    connect()
    rename('manual', 'docs', at)
    const { connection } = connect({ subdomain: 'manual' })
    rename('manual', 'docs', at)
    expect(connections.at('manual')).toEqual([connection])
    rename('former', 'docs', new Date(at.getTime() - 60_000))
    expect(connections.at('manual')).toEqual([connection])
    expect(await areWaiting('former')).toBe(false)
  })

  it('at another relay has no route under its former name, and visitors wait here too', async () => {
    const { rename, areWaiting, routes, clock } = open([routeTo('docs', 0)])
    rename('manual')
    expect(routes).toEqual([])
    expect(await areWaiting('manual')).toBe(true)
    expect(await areWaiting('docs')).toBe(false)
    const route = routeTo('manual', clock.now().getTime() / 1000)
    routes.push(route)
    rename('manual')
    expect(routes).toEqual([route])
  })

  it('without an agent has nobody wait', async () => {
    const { rename, areWaiting, forgotten } = open()
    rename('manual')
    expect(await areWaiting('manual')).toBe(false)
    expect(forgotten).toEqual(['manual', 'docs'])
  })
})
