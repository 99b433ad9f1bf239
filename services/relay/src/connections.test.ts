import { describe, expect, it } from 'vitest'
import { anybody, nobody, occupy, openConnections } from '../test/agents.ts'
import { createClock } from '../test/clock.ts'

describe('a name that has changed hands', () => {
  it("is its new tunnel's alone, whether that was heard or not", async () => {
    const { connections, connect } = openConnections()
    const former = connect({ tunnelId: 'tun_1', subdomain: 'bank' })
    const owner = connect({ tunnelId: 'tun_2', subdomain: 'bank' })
    expect(connections.at('bank')).toEqual([owner.connection])
    expect(await former.sentAway).toBe('tunnel_changed')
  })
})

describe('several agents on one tunnel', () => {
  it('share its requests: the one with the fewest in flight takes the next', () => {
    const { connections, connect } = openConnections()
    const [one, two, three] = [connect(), connect(), connect()]
    const next = () => connections.leastBusy(connections.at('docs'), anybody)
    const streams = [one, one, two].map((agent) => occupy(agent))
    expect(next()).toBe(three.connection)
    occupy(three)
    streams[0]?.reset(0)
    streams[1]?.reset(0)
    expect(next()).toBe(one.connection)
  })

  it('take turns where they have as much to do', () => {
    const { connections, connect } = openConnections()
    const agents = [connect(), connect(), connect()].map(({ connection }) => connection)
    const taken = agents.map(() => connections.leastBusy(connections.at('docs'), anybody))
    expect(new Set(taken)).toEqual(new Set(agents))
  })

  it('take nothing once each has as much as it may have', () => {
    const { connections, connect } = openConnections({ maxRequests: 1 })
    const agents = [connect(), connect()]
    agents.map((agent) => occupy(agent))
    expect(connections.leastBusy(connections.at('docs'), anybody)).toBe('too_many')
    expect(connections.at('docs')).toHaveLength(2)
  })

  it('are found by their subdomain and by their tunnel, and by neither under the name of the other', () => {
    const { connections, connect } = openConnections()
    const { connection } = connect()
    expect(connections.at('docs')).toEqual([connection])
    expect(connections.ofTunnel('tun_1')).toEqual([connection])
    expect(connections.at('tun_1')).toEqual([])
    expect(connections.ofTunnel('docs')).toEqual([])
    expect(connections.leastBusy(connections.at('none'), anybody)).toBeUndefined()
  })
})

describe("an agent's newer connection", () => {
  it('takes the place of the one before at once, and that one is told so', async () => {
    const { connections, connect, told } = openConnections()
    const before = connect({ agent: 'same' })
    const after = connect({ agent: 'same', generation: 2 })
    expect(connections.at('docs')).toEqual([after.connection])
    expect(connections.ofAgent('tun_1', 'same')).toBe(after.connection)
    expect(told).toEqual(['up conn_1', 'down conn_1 replaced', 'up conn_2'])
    expect(await before.sentAway).toBe('replaced')
    await before.ended
    expect(connections.size).toBe(1)
  })

  it('leaves other agents of the tunnel, and the same agent at other tunnels, alone', () => {
    const { connections, connect } = openConnections()
    connect({ agent: 'other' })
    connect({ agent: 'same', tunnelId: 'tun_2', subdomain: 'shop' })
    connect({ agent: 'same' })
    connect({ agent: 'same', generation: 2 })
    expect(connections.ofTunnel('tun_1')).toHaveLength(2)
    expect(connections.ofTunnel('tun_2')).toHaveLength(1)
  })
})

describe('a connection that is cut', () => {
  it('ends at once with what is in flight, tells why, and counts', async () => {
    const { connections, connect, told } = openConnections()
    const [cut, other] = [connect(), connect()]
    const lost = Promise.withResolvers<number>()
    cut.connection.open('GET\n/', true, { ...nobody, reset: lost.resolve }, anybody)
    const found = connections.cut((each) => each === cut.connection, 'key_revoked')
    expect(found).toEqual([cut.connection])
    await lost.promise
    expect(await cut.sentAway).toBe('key_revoked')
    expect(connections.at('docs')).toEqual([other.connection])
    expect(told.at(-1)).toBe('down conn_1 key_revoked')
    expect(connections.cut((each) => each === cut.connection, 'key_revoked')).toEqual([])
  })

  it('may be one that was only finishing', async () => {
    const { connections, connect, told } = openConnections()
    const agent = connect()
    occupy(agent)
    connections.retire(() => true, 'draining')
    expect(connections.cut(() => true, 'key_revoked')).toEqual([agent.connection])
    await agent.ended
    expect(connections.size).toBe(0)
    expect(told).toEqual(['up conn_1', 'down conn_1 draining'])
  })
})

describe('a connection that is retired', () => {
  it('takes no more requests, and ends when those in flight are done', async () => {
    const clock = createClock()
    const { connections, connect, told } = openConnections(clock)
    const agent = connect()
    const stream = occupy(agent)
    connections.retire(() => true, 'tunnel_changed')
    expect(connections.at('docs')).toEqual([])
    expect(told.at(-1)).toBe('down conn_1 tunnel_changed')
    expect(await agent.sentAway).toBe('tunnel_changed')
    clock.pass(10_000)
    expect(connections.size).toBe(1)
    stream?.reset(0)
    clock.pass(200)
    await agent.ended
    expect(connections.size).toBe(0)
    expect(told).toHaveLength(2)
  })

  it('ends after 30 s with what is not done then', async () => {
    const clock = createClock()
    const { connections, connect } = openConnections(clock)
    const agent = connect()
    occupy(agent)
    connections.retire(() => true, 'draining')
    clock.pass(29_800)
    expect(connections.size).toBe(1)
    clock.pass(200)
    await agent.ended
    expect(connections.size).toBe(0)
  })

  it('is one whose agent leaves by itself', async () => {
    const { connect, told } = openConnections()
    const agent = connect()
    agent.link.goaway('leaving')
    expect(await agent.sentAway).toBe('leaving')
    expect(told.at(-1)).toBe('down conn_1 leaving')
  })
})

it('a connection whose agent goes without a word is lost, and forgotten', async () => {
  const { connections, connect, told } = openConnections()
  connect().socket.destroy()
  await expect.poll(() => told.at(-1)).toBe('down conn_1 lost')
  expect(connections.size).toBe(0)
  expect(connections.at('docs')).toEqual([])
})
