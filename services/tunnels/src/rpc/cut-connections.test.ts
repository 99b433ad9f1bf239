import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { made } from '../../test/made.ts'
import { openNats } from '../../test/open-nats.ts'
import { startRelayStub } from '../../test/relay-stub.ts'
import { noServices, servicesOnly } from '../../test/services-only.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const server = await openNats()
const relay = await startRelayStub(server.url)
const tunnels = await startTunnels(server.settings)
const { cutConnections } = tunnels.directory
const asked = relay.onCut(() => ({ relayId: relay.id, cut: 2 }))
await relay.flush() // NATS has heard that the relay listens
// Tunnels serves whether NATS is there or not: from here on it is.
await vi.waitFor(
  async () => {
    const cut = {
      credentialType: 'session',
      credentialId: 'ses_01h11111111111111111111111',
      reason: 'session_ended',
    }
    await cutConnections(cut)
    expect(asked).not.toEqual([])
  },
  { timeout: 10_000 },
)
afterAll(async () => {
  await tunnels.close()
  await relay.close()
})

const key = 'key_01h00000000000000000000000'

describe('CutConnections', () => {
  it.each([
    ['api_key', key, 'key_revoked'],
    ['session', 'ses_01h00000000000000000000000', 'session_ended'],
    ['tunnel_token', 'tun_01h00000000000000000000000', 'token_regenerated'],
  ])(
    'has connections of an %s cut, and tells how many there were',
    async (credentialType, credentialId, reason) => {
      expect(await cutConnections({ credentialType, credentialId, reason })).toEqual({ connectionsCut: 2 })
      expect(asked.at(-1)).toEqual({ credentialType, credentialId, reason })
    },
  )

  it.each([
    ['nothing', ''],
    ['another kind of id', 'tun_01h00000000000000000000000'],
    ['a NUL byte', `${key}\0`],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('cuts nothing by %s', async (_, credentialId) => {
    const before = asked.length
    const cut = { credentialType: 'api_key', credentialId, reason: 'key_revoked' }
    expect(await cutConnections(cut)).toEqual({ connectionsCut: 0 })
    expect(asked).toHaveLength(before)
  })

  it.each([
    [{ credentialType: 'password' }, 'credential_type: must be api_key, session or tunnel_token'],
    [{ credentialType: '' }, 'credential_type: must be api_key, session or tunnel_token'],
    [{ reason: 'toString' }, 'reason: must be a reason that agents know'],
  ])('refuses %j', async (wrong, message) => {
    const cut = { credentialType: 'api_key', credentialId: key, reason: 'key_revoked', ...wrong }
    expect(await refused(cutConnections(cut))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message,
    })
  })

  it.each(noServices)('admits services only, not %s', async (_, metadata) => {
    expect(await refused(tunnels.callWith(metadata).cutConnections({}))).toMatchObject(servicesOnly)
  })
})

describe('UpdateTunnel', () => {
  it('has every relay know of a new subdomain before it is answered, and of nothing else', async () => {
    const told = relay.onRenamed()
    await relay.flush()
    const user = tunnels.user()
    const { id, subdomain: former } = await made(user)
    await user.updateTunnel({ id, name: 'after' })
    await user.updateTunnel({ id, subdomain: former })
    expect(told).toEqual([])
    const subdomain = `new-${former}`.slice(0, 63)
    const { updatedAt } = await user.updateTunnel({ id, subdomain })
    expect(told).toEqual([{ tunnelId: id, subdomain, former, at: updatedAt?.toISOString() }])
  })
})

describe('RegenerateToken', () => {
  it("has connections of the tunnel's older tokens cut, and tells how many there were", async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    for (const tokenGeneration of [1, 2]) {
      expect(await user.regenerateToken({ id })).toMatchObject({ success: true, connectionsCut: 2 })
      const cut = {
        credentialType: 'tunnel_token',
        credentialId: id,
        reason: 'token_regenerated',
        tokenGeneration,
      }
      expect(asked.at(-1)).toEqual(cut)
    }
  })

  it('has none cut where it refuses', async () => {
    const { id } = await made(tunnels.user())
    const before = asked.length
    await refused(tunnels.user().regenerateToken({ id }))
    expect(asked).toHaveLength(before)
  })

  it('gives a new token while nobody can say how many were cut', async () => {
    const user = tunnels.user()
    const { id, token } = await made(user)
    await server.kill()
    const answer = await user.regenerateToken({ id })
    expect(answer).toMatchObject({ success: true, connectionsCut: 0 })
    expect(answer.token).not.toBe(token)
    await server.start()
  })
})
