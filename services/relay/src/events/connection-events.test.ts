import { describe, expect, it, onTestFinished } from 'vitest'
import { ownNats } from '../../test/own-nats.ts'
import { tellConnections } from './connection-events.ts'

const within = { timeout: 15_000 }
const NOW = new Date('2026-07-01T12:00:00.123Z')

const connection = (n: number, tunnelId = 'tun_1') => ({
  connectionId: `conn_${n}`,
  tunnelId,
  userId: 'user_1',
  credential: { type: 'api_key', id: 'key_1' },
})

async function open(options: { maxWaiting?: number } = {}) {
  const server = await ownNats()
  const teller = tellConnections({
    nats: server.connect('relay'),
    log: server.log,
    now: () => NOW,
    relayId: 'relay_a',
    ...options,
  })
  onTestFinished(() => teller.close())
  const observer = await server.observe()
  /** What was told of a tunnel, in order: +n for a connection that came, -n for one that went. */
  const told = (tunnelId = 'tun_1', from = observer) =>
    from.events
      .filter(({ data }) => data.tunnel_id === tunnelId)
      .map(({ type, data }) => (type.endsWith('.connected') ? 1 : -1) * Number(data.connection_id.slice(5)))
  return { server, teller, observer, told }
}

describe('tellConnections', () => {
  it('tells of an agent that came, and of one that went', async () => {
    const { teller, observer, told } = await open()
    teller.connected(connection(1))
    teller.disconnected(connection(1), 'key_revoked')
    await expect.poll(() => told(), within).toEqual([1, -1])
    const data = { tunnel_id: 'tun_1', user_id: 'user_1', connection_id: 'conn_1', relay_id: 'relay_a' }
    const headers = { 'ce-source': '/instatunnel/relay', 'ce-subject': 'tun_1', 'ce-time': NOW.toISOString() }
    const stream = 'INSTATUNNEL'
    expect(observer.events).toMatchObject([
      {
        stream,
        subject: 'instatunnel.events.tunnel.connected',
        headers,
        data: { ...data, credential_type: 'api_key', credential_id: 'key_1' },
      },
      {
        stream,
        subject: 'instatunnel.events.tunnel.disconnected',
        headers,
        data: { ...data, reason: 'key_revoked' },
      },
    ])
  })

  it('tells in order, once each, over a NATS that is killed and comes back', async () => {
    const { server, teller, observer, told } = await open()
    const expected: number[] = []
    const change = (from: number, to: number) => {
      for (let n = from; n <= to; n++) {
        teller.connected(connection(n))
        teller.disconnected(connection(n), 'lost')
        expected.push(n, -n)
      }
    }
    change(1, 50)
    await expect.poll(() => told(), within).toEqual(expected)
    change(51, 100)
    await server.kill()
    change(101, 150)
    await expect.poll(() => server.logged.join(''), within).toContain('connections wait to be told')
    await server.start()
    change(151, 200)
    await expect.poll(() => told(), within).toEqual(expected)
    const ids = observer.events.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  }, 40_000)

  it('drops the oldest of more than may wait, and says so once', async () => {
    const { server, teller, told } = await open({ maxWaiting: 100 })
    await server.kill()
    for (let n = 1; n <= 150; n++) teller.connected(connection(n))
    expect(server.logged.filter((line) => line.includes('too many wait'))).toHaveLength(1)
    await server.start()
    await expect.poll(() => told().at(-1), { timeout: 30_000 }).toBe(150)
    const numbers = told()
    expect(numbers).toHaveLength(100)
    // The first was on its way already.
    expect(numbers.slice(0, 3)).toEqual([1, 52, 53])
  }, 60_000)

  it('goes on where NATS came back without its streams', async () => {
    const { server, teller, observer, told } = await open()
    teller.connected(connection(1))
    await expect.poll(() => told(), within).toEqual([1])
    await server.kill()
    await server.rob()
    await server.start()
    await observer.close()
    const late = await server.observe()
    teller.connected(connection(2))
    await expect.poll(() => told('tun_1', late), within).toEqual([2])
  }, 40_000)

  it('tells what is left when it is closed; within a second where NATS is away', async () => {
    const { server, teller, told } = await open()
    for (let n = 1; n <= 100; n++) teller.connected(connection(n))
    await teller.close()
    await expect.poll(() => told().length, within).toBe(100)
    await server.kill()
    teller.connected(connection(101))
    const begun = performance.now()
    await teller.close()
    expect(performance.now() - begun).toBeLessThan(2000)
  })
})
