import { RESET } from '@instatunnel/kit/frames'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ConnectedAgent, from, nobody, openConnections } from '../test/agents.ts'
import { originOf } from './domain/origin.ts'

const BEAT_MS = 1600

/** An agent with this many slots, and visitors of its. */
function open(slots: number, agents = 1) {
  const { connections, connect } = openConnections({ maxRequests: slots, maxWebSockets: slots })
  const all: ConnectedAgent[] = Array.from({ length: agents }, () => connect())
  /** What becomes of a request of this client: a stream, and what it was ended by, or why there is none. */
  const visit = (client: string, upgrades = false) => {
    const origin = from(client, upgrades)
    const found = connections.leastBusy(connections.at('docs'), origin)
    if (typeof found !== 'object') return { refusal: found, resets: [] }
    const resets: number[] = []
    const stream = found.open('GET\n/', true, { ...nobody, reset: (code) => resets.push(code) }, origin)
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
    expect(admitted(times(100, '192.0.2.1'))).toBe(25)
    expect(visit('192.0.2.1').refusal).toBe('crowded')
    for (const client of ['192.0.2.2', '192.0.2.3', '192.0.2.4']) expect(admitted(times(26, client))).toBe(25)
    expect(visit('192.0.2.5').refusal).toBe('too_many')
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
    const visits = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'].map((each) => opened.times(16, each))
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
    expect(visit('192.0.2.9').stream).toBeDefined() // what had become free
    await beats(5)
    // Of the first address's one has been idle for longer than the others.
    const moved = visits[0]?.filter((_, index) => index !== 7) ?? []
    for (const { stream } of moved) stream?.received(Buffer.from('x'), false)
    await beats(5)
    for (const { stream } of [...(visits[2] ?? []), ...(visits[3] ?? [])]) stream?.reset(RESET.cancelled)
    const rest = Array.from({ length: 33 }, (_, index) => visit(`198.51.100.${index}`))
    expect(rest.every(({ stream }) => stream)).toBe(true)
    expect(visits[0]?.map(({ resets }) => resets)).toEqual(
      visits[0]?.map((_, index) => (index === 7 ? [RESET.crowded] : [])),
    )
    expect(all[0]?.connection.taken).toBe(64)
  })

  it('none makes room that moves', async () => {
    const { visit } = full()
    await beats(1)
    expect(visit('192.0.2.9').refusal).toBe('too_many')
  })

  it('none makes room for an address that has its share', async () => {
    const { visit } = full()
    await beats(5)
    expect(visit('192.0.2.1').refusal).toBe('crowded')
  })
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
