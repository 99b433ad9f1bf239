import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made, outcomesOf } from '../../test/made.ts'
import { notTunnelIds, tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
afterAll(() => tunnels.close())

describe('DeleteTunnel', () => {
  it('says so, and the tunnel is no more', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    expect(await user.deleteTunnel({ id })).toEqual({ success: true, message: 'Tunnel deleted' })
    expect(await refused(user.getTunnel({ id }))).toMatchObject(tunnelNotFound)
    expect(await refused(user.deleteTunnel({ id }))).toMatchObject(tunnelNotFound)
  })

  it('frees the subdomain at once', async () => {
    const user = tunnels.user()
    for (let round = 0; round < 5; round++) {
      const { id } = await made(tunnels.user({ id: user.id }), { subdomain: 'free-again' })
      await user.deleteTunnel({ id })
    }
    expect((await made(tunnels.user(), { subdomain: 'free-again' })).subdomain).toBe('free-again')
  })

  it('ends the token', async () => {
    const user = tunnels.user()
    const { id, token } = await made(user)
    expect(await tunnels.directory.lookUpToken({ digest: digestOf(token) })).toMatchObject({ tunnelId: id })
    await user.deleteTunnel({ id })
    expect(await refused(tunnels.directory.lookUpToken({ digest: digestOf(token) }))).toMatchObject({
      reason: 'TOKEN_UNKNOWN',
    })
  })

  it('succeeds for exactly one of 10 at once', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    const deletes = Array.from({ length: 10 }, () => user.deleteTunnel({ id }))
    expect(await outcomesOf(deletes)).toEqual({ OK: 1, TUNNEL_NOT_FOUND: 9 })
  })

  it("does not find another user's tunnel, but with admin:write", async () => {
    const { id } = await made(tunnels.user())
    expect(await refused(tunnels.user().deleteTunnel({ id }))).toMatchObject(tunnelNotFound)
    const reader = tunnels.user({ scopes: ['tunnels:delete', 'admin:read'] })
    expect(await refused(reader.deleteTunnel({ id }))).toMatchObject(tunnelNotFound)
    const admin = tunnels.user({ scopes: ['tunnels:delete', 'admin:write'] })
    expect(await admin.deleteTunnel({ id })).toMatchObject({ success: true })
  })

  it('does not find what a key is not for, an admin’s neither, and leaves it', async () => {
    const user = tunnels.user()
    const [inside, outside] = [await made(user, { subdomain: 'del-in' }), await made(user)]
    const admin = { scopes: ['tunnels:delete', 'admin:write'] }
    for (const one of [{ id: user.id }, admin]) {
      const restricted = tunnels.user({ ...one, subdomains: ['del-*'] })
      expect(await refused(restricted.deleteTunnel({ id: outside.id }))).toMatchObject(tunnelNotFound)
    }
    expect(await user.getTunnel({ id: outside.id })).toEqual(outside)
    const restricted = tunnels.user({ id: user.id, subdomains: ['del-*'] })
    expect(await restricted.deleteTunnel({ id: inside.id })).toMatchObject({ success: true })
  })

  it.each(notTunnelIds)('finds nothing by %s', async (_, id) => {
    expect(await refused(tunnels.user().deleteTunnel({ id }))).toMatchObject(tunnelNotFound)
  })

  it('needs tunnels:delete', async () => {
    const writer = tunnels.user({ scopes: ['tunnels:write'] })
    const { id } = await made(writer)
    expect(await refused(writer.deleteTunnel({ id }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      body: { required_scope: 'tunnels:delete' },
    })
  })
})
