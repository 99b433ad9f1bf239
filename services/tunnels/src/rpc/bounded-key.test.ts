import { digestOf } from '@instatunnel/kit/secret'
import { afterAll, describe, expect, it } from 'vitest'
import { BOUNDED } from '../../test/bounded.ts'
import { made } from '../../test/made.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
afterAll(() => tunnels.close())

const MASKED = /^itt_\*\*\*/
const WHOLE = /^itt_[0-9A-Za-z]{32}$/

describe.each(BOUNDED)('a key that is held to %j', (bounds) => {
  it('makes and changes tunnels, and sees their tokens masked', async () => {
    const user = tunnels.user({ plan: 'pro' })
    const key = tunnels.user({ id: user.id, plan: 'pro', bounds })
    const { id, token } = await made(key)
    const { tunnels: listed } = await key.listTunnels()
    const changed = await key.updateTunnel({ id, name: 'after' })
    for (const shown of [token, listed[0]?.token, changed.token, (await key.getTunnel({ id })).token])
      expect(shown).toMatch(MASKED)
    expect((await user.getTunnel({ id })).token).toMatch(WHOLE)
  })
})

it('a key that is held to subdomains alone, and a session, see tokens whole', async () => {
  const user = tunnels.user()
  const { id } = await made(user, { subdomain: 'bounded-a' })
  const session = tunnels.user({ id: user.id, bounds: { type: 'session', expiresAt: 4_000_000_000 } })
  const key = tunnels.user({ id: user.id, subdomains: ['bounded-*'] })
  for (const one of [session, key]) expect((await one.getTunnel({ id })).token).toMatch(WHOLE)
})

describe('ListTunnelNames and RegenerateTokens', () => {
  async function three() {
    const user = tunnels.user()
    const subdomains = ['docs', 'shop', 'docs-old'].map((name) => `${name}-${user.id.slice(-8)}`)
    const all = []
    for (const subdomain of subdomains) all.push(await made(user, { name: subdomain, subdomain }))
    return { user, all, named: all.map(({ id, name }) => ({ id, name })) }
  }
  const whose = (userId: string, within: string[] = []) => ({ userId, within })

  it('name a user’s tunnels, those that match one of the patterns', async () => {
    const { user, named } = await three()
    const { listTunnelNames } = tunnels.directory
    expect(await listTunnelNames(whose(user.id))).toEqual({ tunnels: named })
    expect(await listTunnelNames(whose(user.id, ['docs-*']))).toEqual({ tunnels: [named[0], named[2]] })
    expect(await listTunnelNames(whose(user.id, ['*-old-*', 'x']))).toEqual({ tunnels: [named[2]] })
    expect(await listTunnelNames(whose(tunnels.user().id))).toEqual({ tunnels: [] })
  })

  it('regenerate all of them at once, and none beside, as often as need be', async () => {
    const { user, all, named } = await three()
    const [docs, shop] = [all[0]?.token ?? '', all[1]?.token ?? '']
    const { regenerateTokens, lookUpToken } = tunnels.directory
    for (let n = 1; n <= 7; n++) {
      const answer = await regenerateTokens(whose(user.id, ['docs-*']))
      expect(answer).toEqual({ tunnels: [named[0], named[2]], connectionsCut: 0 })
    }
    await expect(lookUpToken({ digest: digestOf(docs) })).rejects.toThrow()
    expect(await lookUpToken({ digest: digestOf(shop) })).toMatchObject({ tokenGeneration: 0 })
    const { token } = await user.getTunnel({ id: all[0]?.id ?? '' })
    expect(await lookUpToken({ digest: digestOf(token) })).toMatchObject({ tokenGeneration: 7 })
    // It is no regeneration of the user's own.
    await user.regenerateToken({ id: all[0]?.id ?? '' })
  })
})
