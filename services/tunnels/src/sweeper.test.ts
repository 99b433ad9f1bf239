import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../test/made.ts'
import { tunnelNotFound } from '../test/not-tunnel-ids.ts'
import { openNats } from '../test/open-nats.ts'
import { startRelayStub } from '../test/relay-stub.ts'
import { type StartedTunnels, startTunnels, type User } from '../test/start-tunnels.ts'

const MINUTE_MS = 60_000
const soon = { timeout: 10_000 }

const server = await openNats()
const relay = await startRelayStub(server.url)
const deleted = relay.hear('tunnel.deleted')

let now = Date.parse('2026-03-01T12:00:00Z')
const startReplica = (settings: Readonly<Record<string, string>> = server.settings) =>
  startTunnels(settings, { now: () => new Date(now), sweepEveryMs: 10 })
const tunnels = await startReplica()
const user = tunnels.user({ plan: 'business' })
const lasting = await made(user)
const { id: permanent } = lasting
afterAll(async () => {
  await tunnels.close()
  await relay.close()
})

const isThere = (id: string, by: User = user) =>
  by.getTunnel({ id }).then(
    () => true,
    () => false,
  )

/** Resolves once a sweep that began later has ended: what is too old goes last in it. */
async function swept({ sql }: StartedTunnels = tunnels) {
  for (let sweep = 0; sweep < 2; sweep++) {
    await sql`
      insert into traffic (tunnel_id, unit, start, requests, bytes_in, bytes_out, status_classes, latencies)
      select id, 'minute', '2020-01-01T00:00:00Z', 1, 0, 0, '{}', '{}' from tunnels order by id limit 1`
    const old = () =>
      sql`select from traffic where start = '2020-01-01T00:00:00Z'`.then((rows) => rows.length)
    await expect.poll(old, soon).toBe(0)
  }
}

/** Waits count from when agents can be seen: one that was seen, and left, shows that they can. */
async function agentsAreSeen() {
  const status = async () => (await user.getTunnel({ id: permanent })).status
  const agent = await relay.connect(lasting)
  await expect.poll(status, soon).toBe('active')
  await agent.leave()
  await expect.poll(status, soon).toBe('inactive')
  await swept()
}

describe('the sweeper', () => {
  it('deletes an ephemeral tunnel that waited five minutes for an agent, and tells so; no other', async () => {
    await agentsAreSeen()
    const first = await made(user, { ephemeral: true })
    now += MINUTE_MS
    const second = await made(user, { ephemeral: true })
    expect([first.ephemeral, second.ephemeral]).toEqual([true, true])
    now += 4 * MINUTE_MS - 1
    await swept()
    expect([await isThere(first.id), await isThere(second.id)]).toEqual([true, true])
    now += 1
    await swept()
    expect([await isThere(first.id), await isThere(second.id)]).toEqual([false, true])
    expect(await refused(user.getTunnel({ id: first.id }))).toMatchObject(tunnelNotFound)
    now += MINUTE_MS
    await swept()
    expect([await isThere(second.id), await isThere(permanent)]).toEqual([false, true])
    const told = ({ id, subdomain }: typeof first) => ({ tunnel_id: id, user_id: user.id, subdomain })
    await expect.poll(() => deleted, soon).toEqual([told(first), told(second)])
  })

  it('leaves one alone that has an agent, and for five minutes after it had', async () => {
    const tunnel = await made(user, { ephemeral: true })
    const agent = await relay.connect(tunnel)
    const status = async () => (await user.getTunnel({ id: tunnel.id })).status
    await expect.poll(status, soon).toBe('active')
    now += 60 * MINUTE_MS
    await swept()
    expect(await isThere(tunnel.id)).toBe(true)
    await agent.leave()
    await expect.poll(status, soon).toBe('inactive')
    now += 5 * MINUTE_MS - 1
    await swept()
    expect(await isThere(tunnel.id)).toBe(true)
    now += 1
    await swept()
    expect(await isThere(tunnel.id)).toBe(false)
  })

  it('counts from when an agent connected, also where its route was never seen', async () => {
    const { id } = await made(user, { ephemeral: true })
    const time = new Date(now + 2 * MINUTE_MS)
    now += 4 * MINUTE_MS
    await relay.tell('tunnel.connected', { tunnel_id: id }, { time: time.toISOString() })
    await expect.poll(async () => (await user.getTunnel({ id })).lastConnected, soon).toEqual(time)
    now = time.getTime() + 5 * MINUTE_MS - 1
    await swept()
    expect(await isThere(id)).toBe(true)
    now += 1
    await swept()
    expect(await isThere(id)).toBe(false)
  })

  it('deletes nothing while NATS is away, nor within five minutes after', async () => {
    const { id } = await made(user, { ephemeral: true })
    await server.kill()
    now += 60 * MINUTE_MS
    await swept()
    expect(await isThere(id)).toBe(true)
    await server.start()
    const other = await made(user)
    await relay.connect(other)
    await expect.poll(async () => (await user.getTunnel({ id: other.id })).status, soon).toBe('active')
    await swept()
    now += 5 * MINUTE_MS - 1
    await swept()
    expect(await isThere(id)).toBe(true)
    now += 1
    await swept()
    expect(await isThere(id)).toBe(false)
  })

  it('leaves to a replica that has just started five minutes to see agents', async () => {
    const first = await startReplica()
    const owner = first.user()
    const { id } = await made(owner, { ephemeral: true })
    await made(owner)
    await first.close()
    now += 60 * MINUTE_MS
    const second = await startReplica(first.environment)
    const again = second.user({ id: owner.id })
    await swept(second)
    now += 5 * MINUTE_MS - 1
    await swept(second)
    expect(await isThere(id, again)).toBe(true)
    now += 1
    await swept(second)
    expect(await isThere(id, again)).toBe(false)
    await second.close()
  })

  it('tells each deletion once, however many replicas sweep', async () => {
    const replicas = [await startReplica(tunnels.environment), await startReplica(tunnels.environment)]
    await relay.connect({ id: permanent, userId: user.id, subdomain: 'permanent' })
    for (const replica of replicas) {
      const again = replica.user({ id: user.id })
      await expect.poll(async () => (await again.getTunnel({ id: permanent })).status, soon).toBe('active')
    }
    const all = await Promise.all(Array.from({ length: 50 }, () => made(user, { ephemeral: true })))
    now += 5 * MINUTE_MS
    const left = () => tunnels.sql`select from tunnels where ephemeral`.then((rows) => rows.length)
    await expect.poll(left, soon).toBe(0)
    await Promise.all(replicas.map((replica) => replica.close()))
    const ids = new Set(all.map(({ id }) => id))
    const told = () => deleted.filter((event) => ids.has((event as { tunnel_id: string }).tunnel_id))
    await expect.poll(() => told().length, soon).toBe(50)
    const untold = () => tunnels.sql`select from outbox`.then((rows) => rows.length)
    await expect.poll(untold, soon).toBe(0)
    expect(told()).toHaveLength(50)
  })
})
