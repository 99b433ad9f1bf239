import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../test/made.ts'
import { openNats } from '../test/open-nats.ts'
import { startRelayStub } from '../test/relay-stub.ts'
import { startTunnels, type User } from '../test/start-tunnels.ts'

const soon = { timeout: 15_000 }
const server = await openNats()
const relay = await startRelayStub(server.url)
afterAll(() => relay.close())

const becomes = (user: User, id: string, status: string) =>
  expect.poll(async () => (await user.getTunnel({ id })).status, soon).toBe(status)

describe('a replica that takes over from another', () => {
  it('loses and doubles no usage, and knows what is active', async () => {
    const first = await startTunnels(server.settings)
    const user = first.user()
    const { id } = await made(user)
    const agent = await relay.connect({ id, userId: user.id, subdomain: 'x' })
    await becomes(user, id, 'active')
    const minute = new Date().toISOString()
    const tell = () =>
      relay.tell('usage.tunnel', {
        uses: [{ tunnel_id: id, user_id: user.id, minute, requests: 1, bytes: 2, bytes_in: 1, bytes_out: 1 }],
      })

    for (let batch = 0; batch < 20; batch++) await tell()
    const second = await startTunnels(first.environment)
    for (let batch = 0; batch < 20; batch++) await tell()
    const closing = first.close()
    for (let batch = 0; batch < 20; batch++) await tell()
    await closing

    const again = second.user({ id: user.id })
    await expect.poll(async () => (await again.getTunnelStats({ id })).total?.requests, soon).toBe(60)
    expect(await second.directory.getUsage({ userId: user.id })).toMatchObject({
      requestsServed: 60,
      dataTransferredBytes: 120,
    })
    expect((await again.getTunnel({ id })).status).toBe('active')
    await agent.leave()
    await becomes(again, id, 'inactive')
    await second.close()
  })

  it('shows the same status in lists as the other, while both run', async () => {
    const first = await startTunnels(server.settings)
    const second = await startTunnels(first.environment)
    const user = first.user()
    const [one, two] = [await made(user), await made(user)]
    await relay.connect(one)
    for (const replica of [first, second]) {
      const asked = replica.user({ id: user.id })
      await becomes(asked, one.id, 'active')
      const { tunnels } = await asked.listTunnels()
      const statuses = new Map(tunnels.map(({ id, status }) => [id, status]))
      expect([statuses.get(one.id), statuses.get(two.id)]).toEqual(['active', 'inactive'])
    }
    await first.close()
    await second.close()
  })
})
