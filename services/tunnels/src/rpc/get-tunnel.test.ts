import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { notTunnelIds, tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
afterAll(() => tunnels.close())

describe('GetTunnel', () => {
  it('returns what CreateTunnel returned', async () => {
    const user = tunnels.user()
    const tunnel = await made(user)
    expect(await user.getTunnel({ id: tunnel.id })).toEqual(tunnel)
  })

  it("does not find another user's tunnel", async () => {
    const { id } = await made(tunnels.user())
    expect(await refused(tunnels.user().getTunnel({ id }))).toMatchObject(tunnelNotFound)
  })

  it('finds by a restricted key what it is for alone, by an admin’s too', async () => {
    const user = tunnels.user()
    const [inside, outside] = [
      await made(user, { subdomain: 'got-in' }),
      await made(user, { subdomain: 'get-out' }),
    ]
    const admin = { scopes: ['tunnels:read', 'admin:read'] }
    for (const one of [{ id: user.id }, admin]) {
      const restricted = tunnels.user({ ...one, subdomains: ['got-*'] })
      expect(await restricted.getTunnel({ id: inside.id })).toMatchObject({ subdomain: 'got-in' })
      expect(await refused(restricted.getTunnel({ id: outside.id }))).toMatchObject(tunnelNotFound)
    }
  })

  it('keeps a key for some subdomains from another user’s tunnels there', async () => {
    const { id } = await made(tunnels.user(), { subdomain: 'got-another' })
    const restricted = tunnels.user({ subdomains: ['got-*'] })
    expect(await refused(restricted.getTunnel({ id }))).toMatchObject(tunnelNotFound)
  })

  it.each(notTunnelIds)('finds nothing by %s', async (_, id) => {
    expect(await refused(tunnels.user().getTunnel({ id }))).toMatchObject(tunnelNotFound)
  })

  it('shows any tunnel to admin:read, its token only with tunnels:write and admin:write', async () => {
    const tunnel = await made(tunnels.user())
    const shownTo = async (...scopes: string[]) => {
      const admin = tunnels.user({ scopes: ['tunnels:read', 'admin:read', ...scopes] })
      return (await admin.getTunnel({ id: tunnel.id })).token
    }
    const masked = `itt_***...${tunnel.token.slice(-3)}`
    expect(await shownTo()).toBe(masked)
    expect(await shownTo('tunnels:write')).toBe(masked)
    expect(await shownTo('admin:write')).toBe(masked)
    expect(await shownTo('tunnels:write', 'admin:write')).toBe(tunnel.token)
  })

  it.each([
    ['altered', 'token_sealed = set_byte(token_sealed, 20, get_byte(token_sealed, 20) # 1)'],
    ['shortened', 'token_sealed = substr(token_sealed, 1, 12)'],
    ['emptied', `token_sealed = ''`],
    ['sealed with another secret', `token_secret_id = '00000000'`],
    [
      'another tunnel’s',
      '(token_sealed, token_secret_id) = (select token_sealed, token_secret_id from tunnels where id <> $1 limit 1)',
    ],
  ])('shows nothing of a token that was %s', async (_, change) => {
    const user = tunnels.user()
    await made(tunnels.user())
    const { id, token } = await made(user)
    await tunnels.sql.unsafe(`update tunnels set ${change} where id = $1`, [id])
    const answer = await refused(user.getTunnel({ id }))
    expect(answer).toMatchObject({
      code: 'INTERNAL',
      reason: 'INTERNAL',
      message: 'Something went wrong on our side.',
      http: 500,
      body: { error: 'internal', message: 'Something went wrong on our side.', code: 5000 },
    })
    expect(JSON.stringify(answer)).not.toContain(token.slice(4))
    await tunnels.sql`delete from tunnels where id = ${id}`
  })
})
