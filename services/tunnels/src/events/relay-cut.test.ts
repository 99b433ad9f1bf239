import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { openRelayRoutes } from '@instatunnel/kit/relay-routes'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { openNats } from '../../test/open-nats.ts'
import { startRelayStub } from '../../test/relay-stub.ts'
import type { Cut } from '../domain/cut.ts'
import { createRelayCut } from './relay-cut.ts'

const WAIT_MS = 900
const cut: Cut = {
  credentialType: 'tunnel_token',
  credentialId: 'tun_01h00000000000000000000000',
  reason: 'token_regenerated',
  tokenGeneration: 3,
}

const server = await openNats()
const logged: Record<string, unknown>[] = []
const log = createLog('tunnels', 'warn', { write: (line) => logged.push(JSON.parse(line)) })
const nats = connectNats({ url: server.url, name: 'tunnels', log })
const routes = openRelayRoutes({ nats, log, now: () => new Date() })
const cutConnections = createRelayCut({ nats, routes, log })
await routes.ready
afterAll(async () => {
  routes.close()
  await nats.close()
})
beforeEach(() => {
  logged.length = 0
})

/** Cuts while there are relays that answer so; tells how many were cut, what relays were asked, and how long it took. */
async function cutWith(answers: readonly ((relayId: string) => unknown)[]) {
  const relays = await Promise.all(answers.map(() => startRelayStub(server.url)))
  const asked = relays.map((relay, i) => relay.onCut(() => answers[i]?.(relay.id)))
  await expect.poll(routes.liveRelays, { timeout: 10_000 }).toBe(relays.length)
  const began = performance.now()
  const count = await cutConnections(cut)
  const tookMs = performance.now() - began
  await Promise.all(relays.map((relay) => relay.close()))
  await expect.poll(routes.liveRelays, { timeout: 10_000 }).toBe(0)
  return { count, asked: asked.flat(), tookMs }
}

describe('cutting connections', () => {
  // First: NATS may still know of a relay that has just ended.
  it('is 0 at once where there is no relay', async () => {
    const { count } = await cutWith([])
    expect(count).toBe(0)
    expect(logged).toEqual([]) // it would tell of a wait
  })

  it('asks every relay, and sums up what they cut as soon as all have answered', async () => {
    const { count, asked, tookMs } = await cutWith(
      [2, 0, 3].map((some) => (relayId) => ({ relayId, cut: some })),
    )
    expect(count).toBe(5)
    expect(asked).toEqual([cut, cut, cut])
    expect(tookMs).toBeLessThan(WAIT_MS)
    expect(logged).toEqual([])
  })

  it('waits no longer than a second for one that does not answer, and counts the others', async () => {
    const { count, tookMs } = await cutWith([(relayId) => ({ relayId, cut: 2 }), () => undefined])
    expect(count).toBe(2)
    expect(tookMs).toBeGreaterThan(WAIT_MS - 10)
    expect(logged).toMatchObject([{ level: 'warn', answered: 1, cause: 'no answer in time' }])
  })

  it.each([
    ['no JSON', () => '{'],
    ['nothing', () => ''],
    ['no number', (relayId: string) => ({ relayId, cut: 'all' })],
    ['less than none', (relayId: string) => ({ relayId, cut: -1 })],
    ['too long a name', () => ({ relayId: 'x'.repeat(1000), cut: 7 })],
  ])('counts a relay that answers %s for nothing', async (_, garbage) => {
    const { count } = await cutWith([(relayId) => ({ relayId, cut: 2 }), garbage])
    expect(count).toBe(2)
    expect(logged).toHaveLength(1)
  })

  it('counts one that is not known of yet', async () => {
    const relay = await startRelayStub(server.url, { announces: false })
    relay.onCut(() => ({ relayId: relay.id, cut: 4 }))
    await relay.flush()
    expect(await cutConnections(cut)).toBe(4)
    await relay.close()
  })

  it('is 0 with a line in the log while NATS is away, and counts again when it is back', async () => {
    await server.kill()
    expect(await cutConnections(cut)).toBe(0)
    expect(logged).toContainEqual(expect.objectContaining({ msg: 'not all relays answered' }))
    await server.start()
    await expect.poll(routes.isCurrent, { timeout: 10_000 }).toBe(true)
    expect((await cutWith([(relayId) => ({ relayId, cut: 1 })])).count).toBe(1)
  })

  it('is 0 with a line in the log where NATS was never reached', async () => {
    const never = connectNats({ url: 'nats://127.0.0.1:1', name: 'tunnels', log })
    expect(await createRelayCut({ nats: never, routes, log })(cut)).toBe(0)
    expect(logged).toContainEqual(expect.objectContaining({ cause: 'Error: NATS cannot be reached yet' }))
    await never.close()
  })
})
