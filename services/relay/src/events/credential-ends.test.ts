import {
  KeyRevoked,
  KeyRotated,
  KeyUpdated,
  SessionRevoked,
  TunnelDeleted,
  TunnelTokenRegenerated,
  TunnelUpdated,
  UserUpdated,
} from '@instatunnel/proto/events/v1/events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ownNats } from '../../test/own-nats.ts'
import { type CredentialEnd, hearCredentialEnds } from './credential-ends.ts'

const within = { timeout: 15_000 }
type Server = Awaited<ReturnType<typeof ownNats>>

/** Hears as a relay does. */
function hear(server: Server, { now = () => new Date(), nats = server.connect('relay') } = {}) {
  const heard: { end: CredentialEnd; at: Date }[] = []
  const hearing = hearCredentialEnds({
    nats,
    log: server.log,
    now,
    handle: (end, at) => void heard.push({ end, at }),
  })
  onTestFinished(() => hearing.close())
  const ends = () => heard.map(({ end }) => end)
  return { ...hearing, heard, ends }
}

const deleted = (n: number) =>
  TunnelDeleted.toJSON({ tunnelId: `tun_${n}`, userId: 'user_1', subdomain: 's' })
const tunnelOf = (end: CredentialEnd) => ('tunnelId' in end ? Number(end.tunnelId.slice(4)) : undefined)
const tunnels = (ends: readonly CredentialEnd[]) => ends.map(tunnelOf)

describe('hearCredentialEnds', () => {
  it('tells what each event means for connections, and when it happened', async () => {
    const server = await ownNats()
    const [auth, keys, tunnel] = [server.teller('auth'), server.teller('keys'), server.teller('tunnels')]
    const { heard } = hear(server)
    const [userId, keyId, sessionId, tunnelId] = ['user_1', 'key_1', 'ses_1', 'tun_1']
    const named = { tunnelId, userId, subdomain: 'docs' }
    const time = new Date('2026-07-01T12:00:00.123Z')
    const tellings = [
      () =>
        auth(
          'user.updated',
          UserUpdated.toJSON({
            userId,
            plan: 'free',
            role: 'user',
            status: 'active',
            changed: ['plan'],
          }) as object,
          time,
        ),
      () =>
        auth(
          'session.revoked',
          SessionRevoked.toJSON({ sessionId, userId, reason: 'logout' }) as object,
          time,
        ),
      () =>
        auth(
          'session.revoked',
          SessionRevoked.toJSON({ sessionId, userId, reason: 'suspended' }) as object,
          time,
        ),
      () =>
        keys('key.updated', KeyUpdated.toJSON({ keyId, userId, changed: ['permissions'] }) as object, time),
      () => keys('key.rotated', KeyRotated.toJSON({ keyId, userId, graceEndsAt: undefined }) as object, time),
      () => keys('key.revoked', KeyRevoked.toJSON({ keyId, userId, reason: 'leaked' }) as object, time),
      () => tunnel('tunnel.updated', TunnelUpdated.toJSON({ ...named, changed: ['name'] }) as object, time),
      () =>
        tunnel('tunnel.updated', TunnelUpdated.toJSON({ ...named, changed: ['subdomain'] }) as object, time),
      () =>
        tunnel(
          'tunnel.updated',
          TunnelUpdated.toJSON({ ...named, changed: ['response_timeout'], responseTimeout: 0 }) as object,
          time,
        ),
      () =>
        tunnel(
          'tunnel.token_regenerated',
          TunnelTokenRegenerated.toJSON({ tunnelId, userId }) as object,
          time,
        ),
      () => tunnel('tunnel.deleted', TunnelDeleted.toJSON(named) as object, time),
    ]
    for (const tell of tellings) await tell()
    // Events of one subject come in order; of two, either may come first.
    const sorted = (ends: readonly unknown[]) => ends.map((end) => JSON.stringify(end)).sort()
    await expect
      .poll(() => sorted(heard), within)
      .toEqual(
        sorted(
          [
            { kind: 'recheck', userId },
            { kind: 'ended', credential: { type: 'session', id: sessionId }, reason: 'session_ended' },
            { kind: 'ended', credential: { type: 'session', id: sessionId }, reason: 'account_suspended' },
            { kind: 'recheck', keyId },
            { kind: 'recheck', keyId },
            { kind: 'ended', credential: { type: 'api_key', id: keyId }, reason: 'key_revoked' },
            { kind: 'tunnel_renamed', tunnelId, subdomain: 'docs' },
            { kind: 'tunnel_limited', tunnelId, responseTimeout: 0 },
            {
              kind: 'ended',
              credential: { type: 'tunnel_token', id: tunnelId },
              reason: 'token_regenerated',
            },
            { kind: 'tunnel_deleted', tunnelId },
          ].map((end) => ({ end, at: time })),
        ),
      )
  })

  it('hears at once', async () => {
    const server = await ownNats()
    const tell = server.teller('tunnels')
    const { ends } = hear(server)
    await tell('tunnel.deleted', deleted(0) as object)
    await expect.poll(() => ends().length, within).toBe(1)
    for (let n = 1; n <= 20; n++) {
      await tell('tunnel.deleted', deleted(n) as object)
      await expect.poll(() => ends().length, { timeout: 1000, interval: 1 }).toBe(n + 1)
    }
  })

  it('hears what was told in the two minutes before it started, and nothing older', async () => {
    const server = await ownNats()
    const tell = server.teller('tunnels')
    await tell('tunnel.deleted', deleted(1) as object)
    const late = hear(server, { now: () => new Date(Date.now() + 119_000) })
    const tooLate = hear(server, { now: () => new Date(Date.now() + 126_000) })
    await expect.poll(() => tunnels(late.ends()), within).toEqual([1])
    expect(tooLate.ends()).toEqual([])
  })

  it('hears in order, many at once', async () => {
    const server = await ownNats()
    const tell = server.teller('tunnels')
    const { ends } = hear(server)
    const all = Array.from({ length: 3000 }, (_, n) => n)
    for (let n = 0; n < all.length; n += 500)
      await Promise.all(all.slice(n, n + 500).map((each) => tell('tunnel.deleted', deleted(each) as object)))
    await expect.poll(() => tunnels(ends()), within).toEqual(all)
  })

  it('misses nothing and hears nothing twice over a NATS that is killed and comes back', async () => {
    const server = await ownNats()
    const tell = server.teller('tunnels')
    const { ends } = hear(server)
    for (let n = 0; n < 3; n++) await tell('tunnel.deleted', deleted(n) as object)
    await expect.poll(() => tunnels(ends()), within).toEqual([0, 1, 2])
    await server.kill()
    await server.start()
    // Told before the relay is back.
    const first = server.teller('tunnels')
    for (let n = 3; n < 6; n++) await first('tunnel.deleted', deleted(n) as object)
    await expect.poll(() => tunnels(ends()), within).toEqual([0, 1, 2, 3, 4, 5])
    await first('tunnel.deleted', deleted(6) as object)
    await expect.poll(() => tunnels(ends()), within).toEqual([0, 1, 2, 3, 4, 5, 6])
  }, 40_000)

  it('goes on where NATS came back without its streams', async () => {
    const server = await ownNats()
    const tell = server.teller('tunnels')
    const { ends } = hear(server)
    await tell('tunnel.deleted', deleted(1) as object)
    await expect.poll(() => tunnels(ends()), within).toEqual([1])
    await server.kill()
    await server.rob()
    await server.start()
    await expect
      .poll(() => tell('tunnel.deleted', deleted(2) as object).then(() => 'told', String), within)
      .toBe('told')
    await expect.poll(() => tunnels(ends()).at(-1), within).toBe(2)
  }, 40_000)

  it('passes over what it cannot read, and what its handler throws at', async () => {
    const server = await ownNats()
    const tell = server.teller('tunnels')
    const { js } = await tell.nats.ready
    const heard: CredentialEnd[] = []
    const hearing = hearCredentialEnds({
      nats: server.connect('relay'),
      log: server.log,
      now: () => new Date(),
      handle(end) {
        heard.push(end)
        if (heard.length === 1) throw new Error('not now')
      },
    })
    onTestFinished(() => hearing.close())
    await js.publish('instatunnel.events.tunnel.deleted', 'no JSON')
    await js.publish('instatunnel.events.tunnel.deleted', '{"tunnel_id": 7}')
    for (let n = 1; n <= 2; n++) await tell('tunnel.deleted', deleted(n) as object)
    await expect.poll(() => tunnels(heard), within).toEqual([1, 2])
    expect(server.logged.filter((line) => line.includes('could not be acted on'))).toHaveLength(3)
  })

  it('starts while NATS is away, and ends so', async () => {
    const server = await ownNats()
    await server.stop()
    const [first, second] = [hear(server), hear(server)]
    first.close()
    await server.start()
    await server.teller('tunnels')('tunnel.deleted', deleted(1) as object)
    await expect.poll(() => tunnels(second.ends()), within).toEqual([1])
    expect(first.ends()).toEqual([])
  }, 40_000)
})
