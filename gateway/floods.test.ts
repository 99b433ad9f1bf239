import { connect as connectTcp } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { allocated, bearer, type Closing, gatewayOf, JUNK, MIB, openStreams, stat } from './test/flood.ts'
import type { TestGateway } from './test/gateway.ts'

/** What strangers and visitors fill the gateway's memory with refuses no call of the API; the reverse is in budgets.test.ts. */

/** Of a gateway that may fill up in a test, in place of a GiB: idle it has a third of that. */
const HEAP = 80 * MIB

const closing: Closing = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A gateway of little memory, which under pressure ends what stands still for so long. */
const smallGateway = (idle = '10s') =>
  gatewayOf(HEAP, closing, (_, text) =>
    text.replace('STREAM_IDLE, min_timeout: 10s', `STREAM_IDLE, min_timeout: ${idle}`),
  )

/** Somebody's call is answered as ever. */
async function expectCalled(gateway: TestGateway): Promise<void> {
  expect((await gateway.call('GET', '/v1/tunnels', { headers: bearer })).status).toBe(200)
}

/** And somebody's visit. */
async function expectServed(gateway: TestGateway): Promise<void> {
  await expectCalled(gateway)
  expect((await gateway.call('GET', '/', { host: 'docs.tunnels.test' })).status).toBe(200)
}

describe('the API', () => {
  it('keeps nothing of uploads without a credential: none waits to be whole', async () => {
    const gateway = await smallGateway()
    gateway.auth.check.decide = ({ attributes }) =>
      attributes?.request?.http?.headers.authorization
        ? { admit: true }
        : { admit: false, http: 401, body: '{"error":"unauthorized"}' }
    const before = await allocated(gateway)
    for (const path of ['/v1/tunnels', '/v1/auth/login'])
      openStreams(
        gateway,
        { ':method': 'POST', ':path': path, ':authority': 'api.test' },
        { connections: 3, closing, body: JUNK.subarray(0, 128 * 1024) },
      )
    const refused = () => stat(gateway, 'http.api.downstream_rq_4xx')
    // A client that goes on writing may never come to its last streams: each that comes is answered, and over.
    await vi.waitFor(
      async () =>
        expect([(await refused()) >= 100, await stat(gateway, 'http.api.downstream_rq_active')]).toEqual([
          true,
          0,
        ]),
      { timeout: 20_000, interval: 50 },
    )
    expect((await allocated(gateway)) - before).toBeLessThan(16 * MIB)
    await expectServed(gateway)
  }, 40_000)

  it('keeps little of what waits for auth', async () => {
    const gateway = await smallGateway()
    const before = await allocated(gateway)
    let asked = 0
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    closing.push(() => end())
    gateway.auth.check.decide = async () => {
      asked++
      await over
      return { admit: false, http: 401, body: '{}' }
    }
    const headers = {
      ':method': 'POST',
      ':path': '/v1/tunnels',
      ':authority': 'api.test',
      ...bearer,
    }
    openStreams(gateway, headers, { connections: 2, closing, body: JUNK })
    await vi.waitFor(() => expect(asked).toBe(200), { timeout: 15_000, interval: 20 })
    expect((await allocated(gateway)) - before).toBeLessThan(48 * MIB)
  }, 30_000)
})

describe('tunnels', () => {
  const big = '/big'
  const serveBig = (gateway: TestGateway) => {
    gateway.relay.answer = ({ url }, response) => {
      if (url !== big) response.end()
      else for (let n = 0; n < 8; n++) response.write(JUNK)
    }
  }
  const held = (gateway: TestGateway) => stat(gateway, 'http.api.downstream_rq_active')

  /** Has ever more visitors take nothing of what they asked for, until Envoy ends some; meanwhile the API answers. */
  async function fill(gateway: TestGateway, add: () => number): Promise<void> {
    let asked = 0
    for (let ended = false; !ended; ) {
      asked += add()
      expect(asked).toBeLessThan(3000)
      // They arrive, or as many never will: some have been ended.
      const arrived = async () => (await held(gateway)) >= asked
      const all = vi.waitUntil(arrived, { timeout: 2000, interval: 50 })
      ended = await all.then(
        () => false,
        () => true,
      )
      await expectCalled(gateway)
    }
    // Past seven eighths of the memory a visit may be refused, until what stands still has gone.
    await vi.waitFor(() => expectServed(gateway), { timeout: 20_000, interval: 200 })
  }

  it('end what holds much and takes nothing where memory is short, and serve all others', async () => {
    const gateway = await smallGateway()
    serveBig(gateway)
    const headers = { ':path': big, ':authority': 'docs.tunnels.test' }
    await fill(gateway, () => {
      openStreams(gateway, headers, { connections: 1, closing, windowSize: 0 })
      return 100
    })
  }, 60_000)

  it('end what stands still over HTTP/1.1 as well', async () => {
    const gateway = await smallGateway('1s')
    serveBig(gateway)
    await fill(gateway, () => {
      for (let n = 0; n < 50; n++) stand(gateway, big)
      return 50
    })
  }, 60_000)
})

/** A visitor over HTTP/1.1 who reads nothing, until the test is over. */
function stand({ port }: TestGateway, path: string): void {
  const socket = connectTcp(port, '127.0.0.1')
  socket.pause()
  socket.on('error', () => {}) // which ends it
  socket.write(`GET ${path} HTTP/1.1\r\nHost: docs.tunnels.test\r\n\r\n`)
  closing.push(() => socket.destroy())
}
