import { freshNats } from '@instatunnel/test/nats'
import { afterAll, describe, expect, it } from 'vitest'
import { startTunnels } from '../../test/start-tunnels.ts'

const nats = await freshNats()
const tunnels = await startTunnels({ NATS_URL: nats.url, NATS_SEED: nats.seeds.tunnels })
afterAll(() => tunnels.close())

const observer = await nats.observe()

/** The events told of a tunnel, once the last of them is its deletion. */
async function toldOf(id: string) {
  await observer.event(({ type, headers }) => type.endsWith('.deleted') && headers['ce-subject'] === id)
  return observer.events.filter(({ headers }) => headers['ce-subject'] === id)
}

describe('the events of tunnels', () => {
  it('are each told once, in order, by a CloudEvent without a token', async () => {
    const user = tunnels.user()
    const { tunnel } = await user.createTunnel({ name: 'x', subdomain: 'told-of', localPort: 1 })
    const id = tunnel?.id as string
    await user.updateTunnel({ id, name: 'y', localPort: 2 })
    await user.updateTunnel({ id, name: 'y' }) // changes nothing
    await user.updateTunnel({ id, subdomain: 'told-of-2' })
    const { token } = await user.regenerateToken({ id })
    await user.deleteTunnel({ id })

    const told = await toldOf(id)
    const whose = { tunnel_id: id, user_id: user.id }
    expect(told.map(({ type, data }) => [type, data])).toEqual([
      ['instatunnel.events.tunnel.created', { ...whose, subdomain: 'told-of' }],
      [
        'instatunnel.events.tunnel.updated',
        { ...whose, subdomain: 'told-of', changed: ['name', 'local_port'] },
      ],
      ['instatunnel.events.tunnel.updated', { ...whose, subdomain: 'told-of-2', changed: ['subdomain'] }],
      ['instatunnel.events.tunnel.token_regenerated', whose],
      ['instatunnel.events.tunnel.deleted', { ...whose, subdomain: 'told-of-2' }],
    ])
    for (const event of told) {
      expect(event.subject).toBe(event.type)
      expect(event.headers).toMatchObject({
        'ce-specversion': '1.0',
        'ce-id': expect.stringMatching(/^evt_[0-9a-z]{26}$/),
        'ce-source': '/instatunnel/tunnels',
        'ce-time': expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        'content-type': 'application/json',
      })
      expect(event.headers['nats-msg-id']).toBe(event.id)
    }
    const everything = JSON.stringify(told)
    expect(everything).not.toContain(token.slice(4))
    expect(everything).not.toContain(tunnel?.token.slice(4))
  })

  it('tell the owner, whoever made the change', async () => {
    const owner = tunnels.user()
    const { tunnel } = await owner.createTunnel({ name: 'x', localPort: 1 })
    const id = tunnel?.id as string
    const admin = tunnels.user({ scopes: ['tunnels:write', 'tunnels:delete', 'admin:write'] })
    await admin.updateTunnel({ id, name: 'y' })
    await admin.deleteTunnel({ id })
    const told = await toldOf(id)
    expect(told.map(({ data }) => data.user_id)).toEqual([owner.id, owner.id, owner.id])
  })

  it('are not told of what was refused', async () => {
    const user = tunnels.user()
    const { tunnel } = await user.createTunnel({ name: 'x', subdomain: 'refusal-holder', localPort: 1 })
    const id = tunnel?.id as string
    await Promise.allSettled([
      tunnels.user().createTunnel({ name: 'x', subdomain: 'refusal-holder', localPort: 1 }),
      tunnels.user().deleteTunnel({ id }),
      tunnels.user().updateTunnel({ id, name: 'z' }),
      user.updateTunnel({ id, subdomain: 'www' }),
    ])
    await user.deleteTunnel({ id })
    expect((await toldOf(id)).map(({ type }) => type.split('.').at(-1))).toEqual(['created', 'deleted'])
    const created = observer.events.filter(({ data }) => data.subdomain === 'refusal-holder')
    expect(created.map(({ type }) => type.split('.').at(-1))).toEqual(['created', 'deleted'])
  })

  it('wait in the outbox while NATS is away, and are told once when it is back', async () => {
    const user = tunnels.user()
    await nats.kill()
    const made = []
    for (let i = 0; i < 3; i++) made.push((await user.createTunnel({ name: 'x', localPort: 1 })).tunnel?.id)
    await nats.start()
    for (const id of made) {
      await observer.event(({ headers }) => headers['ce-subject'] === id)
      expect(observer.events.filter(({ headers }) => headers['ce-subject'] === id)).toHaveLength(1)
    }
    const waiting = () => tunnels.sql`select id from outbox`.then((rows) => rows.length)
    await expect.poll(waiting, { timeout: 10_000 }).toBe(0)
  })
})
