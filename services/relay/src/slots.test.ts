import { networkOf } from '@instatunnel/kit/client-address'
import { RESET } from '@instatunnel/kit/frames'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ConnectedAgent, from, nobody, openConnections } from '../test/agents.ts'
import { originOf } from './domain/origin.ts'

const BEAT_MS = 1600
/** A client in each of five networks. */
const [ONE, TWO, THREE, FOUR, FIVE] = ['192.0.2.1', '198.51.100.1', '203.0.113.1', '10.0.0.1', '10.0.1.1']

/** An agent with this many slots, and visitors of its. */
function open(slots: number, agents = 1) {
  const { connections, connect } = openConnections({ maxRequests: slots, maxWebSockets: slots })
  const all: ConnectedAgent[] = Array.from({ length: agents }, () => connect())
  /** What becomes of a request of this client: a stream, and what it was ended by, or why there is none. */
  const visit = (client: string, upgrades = false) => {
    const origin = from(client, upgrades)
    const found = connections.leastBusy(connections.at('docs'), origin)
    if (typeof found !== 'object') return { refusal: found, resets: [] as number[] }
    const resets: number[] = []
    const stream = found.open('GET\n/', true, { ...nobody, reset: (code) => resets.push(code) }, origin)
    if (typeof stream === 'string') throw new Error(stream)
    return { stream, resets, refusal: undefined }
  }
  const times = (count: number, client: string, upgrades = false) =>
    Array.from({ length: count }, () => visit(client, upgrades))
  const admitted = (visits: ReturnType<typeof visit>[]) => visits.filter(({ stream }) => stream).length
  return { all, connections, visit, times, admitted }
}

describe('of the requests of an agent', () => {
  it('one address gets a quarter, and others the rest', () => {
    const { times, admitted, visit } = open(100)
    expect(admitted(times(100, ONE))).toBe(25)
    expect(visit(ONE).refusal).toBe('crowded')
    for (const client of [TWO, THREE, FOUR]) expect(admitted(times(26, client))).toBe(25)
    expect(visit(FIVE).refusal).toBe('too_many')
  })

  it.each([
    ['/24 of IPv4', (n: number) => `192.0.2.${n}`, '192.0.3.1'],
    ['/48 of IPv6', (n: number) => `2001:db8:0:${n.toString(16)}::/64`, '2001:db8:1::/64'],
  ])('one network, a %s, gets half, and others the rest', (_, neighbour, other) => {
    const { admitted, visit, connections } = open(100)
    const neighbours = Array.from({ length: 100 }, (_each, n) => visit(neighbour(n + 1)))
    expect(admitted(neighbours)).toBe(50)
    expect(visit(neighbour(255)).refusal).toBe('crowded')
    expect(visit(other).stream).toBeDefined()
    neighbours[0]?.stream?.reset(RESET.cancelled)
    expect(visit(neighbour(255)).stream).toBeDefined()
    for (const stream of [...(connections.all()[0]?.link.streams() ?? [])]) stream.reset(RESET.cancelled)
    expect(admitted(neighbours.map((_each, n) => visit(neighbour(n + 1))))).toBe(50)
  })

  it('one address gets 16 at least, where there are as many', () => {
    const few = open(10)
    expect(few.admitted(few.times(20, '192.0.2.1'))).toBe(10)
    const more = open(40)
    expect(more.admitted(more.times(40, '192.0.2.1'))).toBe(16)
  })

  it('each that ends makes room, whichever way it does', () => {
    const { times, visit, all } = open(16)
    const visits = times(16, '192.0.2.1')
    expect(visit('192.0.2.1').refusal).toBe('crowded')
    visits[0]?.stream?.reset(RESET.cancelled)
    expect(visit('192.0.2.1').stream).toBeDefined()
    visits[1]?.stream?.over(RESET.lost, '')
    expect(visit('192.0.2.1').stream).toBeDefined()
    expect(all[0]?.connection.taken).toBe(16)
  })

  it('an address has its share at each agent', () => {
    const { times, admitted } = open(64, 2)
    expect(admitted(times(64, '192.0.2.1'))).toBe(32)
  })

  it('those that were all let in before the first was opened get no more than that either', () => {
    const { all, connections } = open(40)
    const tries = Array.from({ length: 30 }, () => connections.leastBusy(connections.at('docs'), from(ONE)))
    const opened = tries.map((found) =>
      typeof found === 'object' ? found.open('GET\n/', true, nobody, from(ONE)) : found,
    )
    expect(opened.filter((each) => each === 'crowded')).toHaveLength(14)
    expect(all[0]?.connection.taken).toBe(16)
  })

  it('WebSockets are counted apart', () => {
    const { times, admitted } = open(16)
    expect(admitted(times(16, '192.0.2.1'))).toBe(16)
    expect(admitted(times(17, '192.0.2.1', true))).toBe(16)
  })
})

describe('where all are taken', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const full = () => {
    const opened = open(64)
    const visits = [ONE, TWO, THREE, FOUR].map((each) => opened.times(16, each))
    return { ...opened, visits }
  }
  /** Lets heartbeats pass that both sides hear. */
  const beats = async (count: number) => {
    for (let beat = 0; beat < count; beat++) {
      vi.advanceTimersByTime(BEAT_MS)
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  it('the longest idle one of the address that holds the most makes room for another address', async () => {
    const { visit, visits, all } = full()
    visits[1]?.[0]?.stream?.reset(RESET.cancelled)
    expect(visit(FIVE).stream).toBeDefined() // what had become free
    await beats(5)
    // Of the first address's one has been idle for longer than the others.
    const moved = visits[0]?.filter((_, index) => index !== 7) ?? []
    for (const { stream } of moved) stream?.received(Buffer.from('x'), false)
    await beats(5)
    for (const { stream } of [...(visits[2] ?? []), ...(visits[3] ?? [])]) stream?.reset(RESET.cancelled)
    const rest = Array.from({ length: 33 }, (_, index) => visit(`10.1.${index}.1`))
    expect(rest.every(({ stream }) => stream)).toBe(true)
    expect(visits[0]?.map(({ resets }) => resets)).toEqual(
      visits[0]?.map((_, index) => (index === 7 ? [RESET.too_many] : [])),
    )
    expect(all[0]?.connection.taken).toBe(64)
  })

  it('none makes room that moves', async () => {
    const { visit } = full()
    await beats(1)
    expect(visit(FIVE).refusal).toBe('too_many')
  })

  it('none makes room for an address that has its share', async () => {
    const { visit } = full()
    await beats(5)
    expect(visit(ONE).refusal).toBe('crowded')
  })

  /** How many of these were ended to make room. */
  const ended = (visits: ReturnType<ReturnType<typeof open>['visit']>[]) =>
    visits.filter(({ resets }) => resets.includes(RESET.too_many)).length

  it('a crowd of neighbours makes room, not an address that holds more than each of them', async () => {
    const { visit, times, admitted } = open(100)
    const office = times(20, ONE)
    const crowds = ['198.51.100', '203.0.113'].map((network) =>
      Array.from({ length: 40 }, (_, n) => visit(`${network}.${n}`)),
    )
    expect(admitted(crowds.flat())).toBe(80)
    await beats(5)
    expect(admitted(Array.from({ length: 36 }, (_, n) => visit(`10.0.${n}.1`)))).toBe(36)
    expect([ended(office), ...crowds.map(ended)]).toEqual([0, 18, 18])
    expect(visit(ONE).stream).toBeDefined()
    expect(ended(office)).toBe(0)
  })

  it('in a network that has its share the address that holds the most makes room for its neighbours', async () => {
    const { visit, times } = open(64)
    const [many, few] = [times(16, '192.0.2.1'), times(15, '192.0.2.2')]
    visit('192.0.2.3')
    await beats(5)
    expect(visit('192.0.2.3').stream).toBeDefined()
    expect([ended(many), ended(few)]).toEqual([1, 0])
    expect(visit('192.0.2.2').refusal).toBe('crowded')
    expect([ended(many), ended(few)]).toEqual([1, 0])
  })

  it('WebSockets make room after a minute, when each has had its turn to ping', async () => {
    const { visit, times } = open(64)
    const sockets = [ONE, TWO, THREE, FOUR].map((each) => times(16, each, true))
    await beats(37)
    expect(visit(FIVE, true).refusal).toBe('too_many')
    await beats(1)
    expect(visit(FIVE, true).stream).toBeDefined()
    expect(sockets.map(ended)).toEqual([1, 0, 0, 0])
  })

  it('one who holds as much as anyone is refused, and keeps no other out by that', async () => {
    const { visit, visits } = full()
    visits[0]?.[0]?.stream?.reset(RESET.cancelled)
    expect(visit(FIVE).stream).toBeDefined()
    await beats(5)
    expect(visit(ONE).refusal).toBe('too_many')
    expect(visit(FIVE).stream).toBeDefined()
    expect(visits.map(ended)).toEqual([0, 1, 0, 0])
  })
})

it('neighbours are those of one /24 or /48, in all spellings of a /64', () => {
  expect(networkOf('192.0.2.1')).toBe(networkOf('192.0.2.255'))
  expect(networkOf('192.0.2.1')).not.toBe(networkOf('192.0.21.1'))
  const same = ['2001:db8::/64', '2001:db8:0:1::/64', '2001:db8:0:ffff::/64']
  expect(new Set(same.map(networkOf)).size).toBe(1)
  expect(new Set([...same, '2001:db8:1::/64', '2001::/64', '::/64', ''].map(networkOf)).size).toBe(5)
  expect(networkOf('::/64')).toBe(networkOf('0:0:0:1::/64'))
})

it('an origin is read from a head as another relay has written it', () => {
  const ours = 'x-forwarded-proto\nhttp\nx-forwarded-host\ndocs.example.com'
  expect(originOf(`GET\n/\na\nx-forwarded-for\nb\nc\nx-forwarded-for\n192.0.2.1\n${ours}`)).toEqual({
    client: '192.0.2.1',
    upgrades: false,
  })
  const handshake = 'connection\nupgrade\nupgrade\nwebsocket'
  expect(originOf(`GET\n/\n${handshake}\nx-forwarded-for\n2001:db8:0:1::5\n${ours}`)).toEqual({
    client: '2001:db8:0:1::/64',
    upgrades: true,
  })
  expect(originOf('GET\n/')).toEqual({ client: '', upgrades: false })
})
