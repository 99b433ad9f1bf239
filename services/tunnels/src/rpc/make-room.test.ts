import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { made, outcomesOf } from '../../test/made.ts'
import { openNats } from '../../test/open-nats.ts'
import { startRelayStub } from '../../test/relay-stub.ts'
import { startTunnels, type User } from '../../test/start-tunnels.ts'

const soon = { timeout: 10_000 }

const server = await openNats()
const relay = await startRelayStub(server.url)
const deleted = relay.hear('tunnel.deleted')

// Ids order by the millisecond: here no two tunnels are made in one.
let now = Date.parse('2026-03-01T12:00:00Z')
const tunnels = await startTunnels(server.settings, { now: () => new Date(now++) })
afterAll(async () => {
  await tunnels.close()
  await relay.close()
})

const later = (seconds: number) => {
  now += seconds * 1000
}

/** A tunnel with an agent, as the service sees it. */
async function connected(user: User) {
  const tunnel = await made(user, { ephemeral: true })
  const agent = await relay.connect(tunnel)
  const statusBecomes = (status: string) =>
    vi.waitFor(async () => expect((await user.getTunnel({ id: tunnel.id })).status).toBe(status), soon)
  await statusBecomes('active')
  const leave = async () => {
    await agent.leave()
    await statusBecomes('inactive')
  }
  return { ...tunnel, leave }
}

const idsOf = async (user: User) => (await user.listTunnels()).tunnels.map(({ id }) => id)

// What is seen of agents counts from so long after the service has started.
await connected(tunnels.user())
later(15)

describe("CreateTunnel at the plan's limit", () => {
  it('deletes the ephemeral tunnel that waited longest for an agent, and tells so', async () => {
    const user = tunnels.user()
    const permanent = await made(user)
    const early = await connected(user)
    const late = await connected(user)
    later(11)
    await early.leave()
    later(1)
    await late.leave()
    const fourth = await made(user)
    expect(await idsOf(user)).toEqual([fourth.id, late.id, permanent.id])
    const { id, subdomain } = early
    await expect.poll(() => deleted, soon).toContainEqual({ tunnel_id: id, user_id: user.id, subdomain })
    const fifth = await made(user, { ephemeral: true })
    expect(await idsOf(user)).toEqual([fifth.id, fourth.id, permanent.id])
  })

  it.each([
    ['has an agent', async (user: User) => connected(user).then(() => later(60))],
    ['was made 9 s ago', async (user: User) => made(user, { ephemeral: true }).then(() => later(9))],
    ['is no ephemeral one', async (user: User) => made(user).then(() => later(60))],
  ])('deletes none that %s, and refuses', async (_, make) => {
    const user = tunnels.user()
    await made(user)
    await made(user)
    await make(user)
    const before = await idsOf(user)
    expect(await refused(made(user))).toMatchObject({ reason: 'PLAN_LIMIT' })
    expect(await idsOf(user)).toEqual(before)
  })

  it('deletes none while there is room, and none of another user', async () => {
    const [user, other] = [tunnels.user(), tunnels.user()]
    for (const each of [user, user, other]) await made(each, { ephemeral: true })
    later(60)
    await made(user)
    expect(await idsOf(user)).toHaveLength(3)
    await made(user)
    expect(await idsOf(user)).toHaveLength(3)
    expect(await idsOf(other)).toHaveLength(1)
  })

  it('deletes none that the key which asks is not for', async () => {
    const user = tunnels.user()
    const outside = await made(user, { ephemeral: true, subdomain: 'room-outside' })
    later(1)
    const inside = await made(user, { ephemeral: true, subdomain: 'room-in-1' })
    await made(user)
    later(60)
    const restricted = tunnels.user({ id: user.id, subdomains: ['room-in-*'] })
    await made(restricted, { subdomain: 'room-in-2' })
    const after = await idsOf(user)
    expect(after).toContain(outside.id)
    expect(after).not.toContain(inside.id)
    expect(await refused(made(restricted, { subdomain: 'room-in-3' }))).toMatchObject({
      reason: 'PLAN_LIMIT',
    })
    expect(await idsOf(user)).toEqual(after)
  })

  it('deletes as many as a smaller plan asks for, or none where that is not enough', async () => {
    const pro = tunnels.user({ plan: 'pro' })
    const free = tunnels.user({ id: pro.id })
    for (let i = 0; i < 3; i++) await made(pro)
    for (let i = 0; i < 4; i++) await made(pro, { ephemeral: true })
    later(60)
    expect(await refused(made(free))).toMatchObject({ reason: 'PLAN_LIMIT' })
    expect(await idsOf(free)).toHaveLength(7)
    const [permanent = ''] = (await idsOf(free)).slice(-1)
    await free.deleteTunnel({ id: permanent })
    await made(free)
    expect(await idsOf(free)).toHaveLength(3)
  })

  it('keeps what it deleted where the tunnel cannot be made after all', async () => {
    await made(tunnels.user(), { subdomain: 'not-to-be-had' })
    const user = tunnels.user()
    for (let i = 0; i < 3; i++) await made(user, { ephemeral: true })
    later(60)
    const before = await idsOf(user)
    expect(await refused(made(user, { subdomain: 'not-to-be-had' }))).toMatchObject({
      reason: 'SUBDOMAIN_TAKEN',
    })
    expect(await idsOf(user)).toEqual(before)
  })

  it('holds the limit whatever comes at once, and hands on the subdomain', async () => {
    const user = tunnels.user()
    const { subdomain } = await made(user, { ephemeral: true })
    for (let i = 0; i < 2; i++) await made(user, { ephemeral: true })
    later(60)
    expect((await made(user, { subdomain, ephemeral: true })).subdomain).toBe(subdomain)
    const creates = Array.from({ length: 20 }, () => made(user, { ephemeral: true }))
    expect(await outcomesOf(creates)).toEqual({ OK: 2, PLAN_LIMIT: 18 })
    expect(await idsOf(user)).toHaveLength(3)
  })

  it('waits for nobody where two users want what the other makes room with', async () => {
    for (let round = 0; round < 5; round++) {
      const users = [tunnels.user(), tunnels.user()]
      const names = [`theirs-${round}-a`, `theirs-${round}-b`]
      for (const [i, user] of users.entries()) {
        await made(user, { ephemeral: true, subdomain: names[i] ?? '' })
        later(1)
        for (let other = 0; other < 2; other++) await made(user)
      }
      later(60)
      const creates = users.map((user, i) => made(user, { subdomain: names[1 - i] ?? '' }))
      const outcomes = await outcomesOf(creates)
      expect((outcomes.OK ?? 0) + (outcomes.SUBDOMAIN_TAKEN ?? 0)).toBe(2)
    }
  })

  it('deletes none while nobody knows who has an agent', async () => {
    const user = tunnels.user()
    for (let i = 0; i < 3; i++) await made(user, { ephemeral: true })
    later(60)
    await server.kill()
    const refusal = async () => refused(made(user)).then(({ reason }) => reason)
    expect(await refusal()).toBe('PLAN_LIMIT')
    expect(await idsOf(user)).toHaveLength(3)
    await server.start()
    const isMade = () =>
      made(user).then(
        () => true,
        () => later(15),
      )
    await expect.poll(isMade, soon).toBe(true)
    expect(await idsOf(user)).toHaveLength(3)
  })
})
