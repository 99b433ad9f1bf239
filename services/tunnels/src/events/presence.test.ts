import { connectNats } from '@instatunnel/kit/jetstream'
import { createLog } from '@instatunnel/kit/log'
import { afterAll, describe, expect, it } from 'vitest'
import { openNats } from '../../test/open-nats.ts'
import { startRelayStub } from '../../test/relay-stub.ts'
import { watchPresence } from './presence.ts'

const server = await openNats()
const log = createLog('tunnels', 'silent')
const nats = connectNats({ url: server.url, name: 'tunnels', log })
const relay = await startRelayStub(server.url)

const begun = Date.parse('2026-03-01T12:00:00Z')
let now = begun
const presence = watchPresence({ nats, log, now: () => new Date(now), lookEveryMs: 10 })
await presence.routes.ready
afterAll(async () => {
  presence.close()
  await relay.close()
  await nats.close()
})

const tunnel = (id: string) => ({ id, userId: 'user_1', subdomain: id })
const becomes = (id: string, isActive: boolean) =>
  expect.poll(() => presence.isActive(id), { timeout: 10_000 }).toBe(isActive)

describe('presence', () => {
  it('knows nothing of absence before every relay has had its turn', () => {
    now = begun + 14_999
    expect(presence.absentSince('tun_a')).toBeUndefined()
    now = begun + 15_000
    expect(presence.absentSince('tun_a')).toEqual(new Date(begun))
  })

  it('is there while one agent is, and ends with the last', async () => {
    expect(presence.isActive('tun_b')).toBe(false)
    const [one, another] = [await relay.connect(tunnel('tun_b')), await relay.connect(tunnel('tun_b'))]
    await becomes('tun_b', true)
    expect(presence.absentSince('tun_b')).toBeUndefined()
    await one.leave()
    await expect.poll(() => presence.routes.routesOf('tun_b').length, { timeout: 10_000 }).toBe(1)
    expect(presence.isActive('tun_b')).toBe(true)
    now += 60_000
    await another.leave()
    await becomes('tun_b', false)
    expect(presence.absentSince('tun_b')).toEqual(new Date(now))
    now += 60_000
    expect(presence.absentSince('tun_b')).toEqual(new Date(now - 60_000))
  })

  it('ends with the relay', async () => {
    const dying = await startRelayStub(server.url)
    await dying.connect(tunnel('tun_c'))
    await becomes('tun_c', true)
    await dying.close()
    await becomes('tun_c', false)
  })

  it('is what it was while NATS is away, when absence is not known; that counts anew afterwards', async () => {
    await relay.connect(tunnel('tun_d'))
    await becomes('tun_d', true)
    await server.kill()
    await expect.poll(presence.routes.isCurrent, { timeout: 10_000 }).toBe(false)
    now += 3_600_000
    expect(presence.isActive('tun_d')).toBe(true)
    expect([presence.absentSince('tun_a'), presence.absentSince('tun_d')]).toEqual([undefined, undefined])
    await server.start()
    await expect.poll(presence.routes.isCurrent, { timeout: 10_000 }).toBe(true)
    expect(presence.isActive('tun_d')).toBe(true)
    expect(presence.absentSince('tun_a')).toBeUndefined()
  })
})
