import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { startNeighbours } from '../test/neighbours.ts'
import { newTunnel, startRelay } from '../test/start-relay.ts'

const within = { timeout: 10_000 }
const nats = await freshNats({ streams: true })
const neighbours = await startNeighbours()
afterAll(() => neighbours.close())

/** A relay whose machine's clock a test may set. */
async function open(aheadMs: number) {
  const machine = { aheadMs }
  const relay = await startRelay(neighbours, nats, {
    wallClock: () => new Date(Date.now() + machine.aheadMs),
  })
  const said = () => relay.logged.map((line) => JSON.parse(line)).filter(({ msg }) => msg.includes('clock'))
  return Object.assign(relay, { machine, said })
}

describe("a relay whose clock differs from the database's", () => {
  it('by less than 5 s says nothing of it', async () => {
    const relay = await open(0)
    expect([await relay.health(), await relay.clock()]).toEqual([200, 'exact'])
    expect(relay.said()).toEqual([])
  })

  it.each([20_000, -20_000])(
    'by %i ms says so in its log and health, and goes by the right time',
    async (ms) => {
      const relay = await open(ms)
      expect([await relay.health(), await relay.clock()]).toEqual([200, 'off'])
      expect(relay.said()).toMatchObject([
        { level: 'warn', skewSeconds: expect.closeTo(ms / 1000, -1), msg: expect.stringMatching(/differs/) },
      ])
      await relay.agent(newTunnel())
    },
  )

  it.each([3_600_000, -60_000])('by %i ms is not ready, until it is right', async (ms) => {
    const relay = await open(ms)
    expect([await relay.health(), await relay.clock()]).toEqual([503, 'wrong'])
    expect(relay.said()).toMatchObject([{ level: 'error', msg: expect.stringMatching(/^not ready/) }])
    relay.machine.aheadMs = 0
    await expect.poll(relay.health, within).toBe(200)
    expect(await relay.clock()).toBe('exact')
  })

  it('that jumps is not ready from that moment on', async () => {
    const relay = await open(0)
    relay.machine.aheadMs = 60_000
    expect(await relay.health()).toBe(503)
    await expect.poll(relay.clock, within).toBe('wrong')
  })

  it('starts where auth is away, and compares it once that is back', async () => {
    neighbours.away.auth = true
    const relay = await open(60_000).finally(() => {
      neighbours.away.auth = false
    })
    await expect.poll(relay.health, within).toBe(503)
  })
})
