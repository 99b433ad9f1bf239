import { newId } from '@instatunnel/kit/id'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { openNats } from '../../test/open-nats.ts'
import { startRelayStub } from '../../test/relay-stub.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const nats = await openNats()
const relay = await startRelayStub(nats.url)
const tunnels = await startTunnels(nats.settings)
afterAll(async () => {
  await tunnels.close()
  await relay.close()
})

const newUser = () => newId('user_', new Date())

const tell = (id: string, data: unknown, delivery = id) => relay.tell('usage.tunnel', data, { id, delivery })

/** A use as the relays told it before they told of minutes. */
const use = (userId: string, requests: unknown, bytes: unknown) => ({
  tunnel_id: 'tun_01h00000000000000000000000',
  user_id: userId,
  requests,
  bytes,
})

/** Resolves once every batch told so far has been acted on. */
async function heard() {
  const last = newUser()
  await tell(newId('evt_', new Date()), { uses: [use(last, 1, 1)] })
  const requestsServed = async () => (await tunnels.directory.getUsage({ userId: last })).requestsServed
  await expect.poll(requestsServed, { timeout: 10_000 }).toBe(1)
}

/** A user's totals, once every batch told so far has been acted on. */
async function totalsOf(userId: string) {
  await heard()
  const { requestsServed, dataTransferredBytes } = await tunnels.directory.getUsage({ userId })
  return [requestsServed, dataTransferredBytes]
}

describe('usage.tunnel', () => {
  it("adds each batch to its users' totals", async () => {
    const [a, b] = [newUser(), newUser()]
    await tell('evt_1', { uses: [use(a, 2, 2_400_000_000), use(b, 1, 10), use(a, 3, 5)] })
    await tell('evt_2', { uses: [use(a, 1, 1)] })
    expect(await totalsOf(a)).toEqual([6, 2_400_000_006])
    expect(await totalsOf(b)).toEqual([1, 10])
  })

  it('counts a batch that is delivered again once', async () => {
    const user = newUser()
    for (let delivery = 0; delivery < 3; delivery++) {
      await tell('evt_again', { uses: [use(user, 7, 70)] }, `delivery-${delivery}`)
    }
    expect(await totalsOf(user)).toEqual([7, 70])
  })

  it('is exact to 2^53', async () => {
    const user = newUser()
    await tell('evt_big', { uses: [use(user, 1, Number.MAX_SAFE_INTEGER - 1)] })
    await tell('evt_one', { uses: [use(user, 1, 1)] })
    expect(await totalsOf(user)).toEqual([2, Number.MAX_SAFE_INTEGER])
  })

  it("adds to the tunnel's periods as well, and to its user's totals alone once it is deleted", async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    const told = { ...use(user.id, 2, 30), tunnel_id: id, minute: new Date().toISOString() }
    await tell('evt_now', { uses: [{ ...told, bytes_in: 10, bytes_out: 20, status_classes: [0, 2] }] })
    await heard()
    const passed = { requests: 2, bytesIn: 10, bytesOut: 20, status: { status2xx: 2 } }
    expect(await user.getTunnelStats({ id })).toMatchObject({
      total: passed,
      minutes: [passed],
      days: [passed],
    })
    await user.deleteTunnel({ id })
    await tell('evt_late', { uses: [told] })
    expect(await totalsOf(user.id)).toEqual([4, 60])
    expect(await tunnels.sql`select from traffic where tunnel_id = ${id}`).toHaveLength(0)
  })

  it('lets no malformed batch hold up those after it', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    const minute = new Date().toISOString()
    const ofTunnel = { ...use(user.id, 'NaN', -1), tunnel_id: id, minute }
    const malformed = [
      {
        uses: [
          use('nul\0byte', 1, 1),
          use('', 1, 1),
          use(user.id, -5, 'Infinity'),
          use(user.id, 'NaN', 1e300),
        ],
      },
      { uses: [{ ...ofTunnel, bytes_in: 1e300, status_classes: 'x', latencies: [1e9, 1] }] },
      {
        uses: [{ ...ofTunnel, bytes_in: '-0', status_classes: [[], {}, 'x'], latencies: [[], -1, null, 1] }],
      },
      {
        uses: [
          { ...ofTunnel, minute: 'yesterday' },
          { ...ofTunnel, minute: 7 },
          { ...ofTunnel, minute: {} },
        ],
      },
      { uses: [{ ...use(user.id, 0, 0), tunnel_id: 'tun_\0', minute }] },
      { uses: 'none' },
      { uses: [1, 'x', {}, [], null] },
      {},
      [],
      null,
    ]
    for (const [i, data] of malformed.entries()) await tell(`evt_bad_${i}`, data)
    await tell('evt_good', { uses: [{ ...ofTunnel, requests: 1, bytes: 1, bytes_in: 1 }] })
    expect(await totalsOf(user.id)).toEqual([1, 1])
    expect((await user.getTunnelStats({ id })).total).toMatchObject({ requests: 1, bytesIn: 1, bytesOut: 0 })
  })
})
