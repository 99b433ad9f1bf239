import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { openNats } from '../../test/open-nats.ts'
import { startRelayStub } from '../../test/relay-stub.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const now = new Date('2026-03-01T12:00:00Z')
const nats = await openNats()
const relay = await startRelayStub(nats.url)
const tunnels = await startTunnels(nats.settings, { now: () => now })
const user = tunnels.user({ plan: 'pro' })
afterAll(async () => {
  await tunnels.close()
  await relay.close()
})

const connected = (tunnelId: unknown, time: string) =>
  relay.tell('tunnel.connected', { tunnel_id: tunnelId, user_id: user.id }, { time })

/** When an agent last connected a tunnel, once every event told so far has been acted on. */
async function lastConnected(id: string) {
  const other = await made(user)
  await connected(other.id, '2026-03-01T11:00:00Z')
  const isMarked = async () => (await user.getTunnel({ id: other.id })).lastConnected !== undefined
  await expect.poll(isMarked, { timeout: 10_000 }).toBe(true)
  return (await user.getTunnel({ id })).lastConnected?.toISOString()
}

describe('tunnel.connected', () => {
  it('is when the tunnel was last connected, in lists too, and never moves back', async () => {
    const { id, ...tunnel } = await made(user)
    expect(tunnel.lastConnected).toBeUndefined()
    await connected(id, '2026-03-01T10:00:00Z')
    await connected(id, '2026-03-01T10:30:00.123Z')
    await connected(id, '2026-03-01T10:15:00Z')
    expect(await lastConnected(id)).toBe('2026-03-01T10:30:00.123Z')
    const listed = (await user.listTunnels()).tunnels.find((one) => one.id === id)
    expect(listed?.lastConnected?.toISOString()).toBe('2026-03-01T10:30:00.123Z')
    expect(listed?.updatedAt).toEqual(tunnel.updatedAt)
  })

  it('lies never ahead of our own time', async () => {
    const { id } = await made(user)
    await connected(id, '2027-01-01T00:00:00Z')
    expect(await lastConnected(id)).toBe(now.toISOString())
  })

  it('lets nothing that is malformed hold up what comes after it', async () => {
    const { id } = await made(user)
    for (const garbage of ['tun_\0', '', 7, null, {}]) await connected(garbage, '2026-03-01T10:00:00Z')
    await connected(id, 'yesterday')
    await relay.tell('tunnel.connected', null)
    expect(await lastConnected(id)).toBeUndefined()
  })
})
