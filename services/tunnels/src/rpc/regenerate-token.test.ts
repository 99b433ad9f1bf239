import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { BOUNDED } from '../../test/bounded.ts'
import { made, outcomesOf } from '../../test/made.ts'
import { notTunnelIds, tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const MINUTE_MS = 60_000

let now = Date.parse('2026-03-01T12:00:00Z')
const tunnels = await startTunnels({}, { now: () => new Date(now) })
afterAll(() => tunnels.close())

describe('RegenerateToken', () => {
  it('returns a new token whole; the old one stops working at once', async () => {
    const user = tunnels.user()
    const { id, token: old } = await made(user)
    const { success, token } = await user.regenerateToken({ id })
    expect(success).toBe(true)
    expect(token).toMatch(/^itt_[0-9A-Za-z]{32}$/)
    expect(token).not.toBe(old)
    expect((await user.getTunnel({ id })).token).toBe(token)
    const { lookUpToken } = tunnels.directory
    expect(await lookUpToken({ digest: digestOf(token) })).toEqual({
      tunnelId: id,
      userId: user.id,
      tokenGeneration: 1,
    })
    expect(await refused(lookUpToken({ digest: digestOf(old) }))).toMatchObject({ reason: 'TOKEN_UNKNOWN' })
  })

  it('admits exactly 5 of 20 at once, and its refusals leave the token alone', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    const calls = Array.from({ length: 20 }, () => user.regenerateToken({ id }))
    expect(await outcomesOf(calls)).toEqual({ OK: 5, RATE_LIMITED: 15 })
    const answered = (await Promise.allSettled(calls)).flatMap((call) =>
      call.status === 'fulfilled' ? call.value.token : [],
    )
    expect(answered).toContain((await user.getTunnel({ id })).token)
  })

  it('slides its window: each regeneration counts for an hour, refusals for nothing', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    const other = await made(user)
    const start = now
    for (let i = 0; i < 5; i++) {
      now = start + i * MINUTE_MS
      await user.regenerateToken({ id })
    }
    now = start + 59 * MINUTE_MS + 1
    const message = "A tunnel's token can be regenerated 5 times an hour; try again later"
    for (let i = 0; i < 3; i++) {
      expect(await refused(user.regenerateToken({ id }))).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'RATE_LIMITED',
        message,
        http: 429,
        body: { error: 'rate_limited', message, code: 4029, retry_after: 60 },
      })
    }
    await expect(user.regenerateToken({ id: other.id })).resolves.toMatchObject({ success: true })
    now = start + 60 * MINUTE_MS
    await expect(user.regenerateToken({ id })).resolves.toMatchObject({ success: true })
    expect(await refused(user.regenerateToken({ id }))).toMatchObject({ body: { retry_after: 60 } })
  })

  it("does not find another user's tunnel, and spends nothing of its owner's", async () => {
    const owner = tunnels.user()
    const { id } = await made(owner)
    for (let i = 0; i < 6; i++) {
      expect(await refused(tunnels.user().regenerateToken({ id }))).toMatchObject(tunnelNotFound)
    }
    for (let i = 0; i < 5; i++) await owner.regenerateToken({ id })
  })

  it('lets admin:write regenerate any', async () => {
    const { id } = await made(tunnels.user())
    const admin = tunnels.user({ scopes: ['tunnels:write', 'admin:write'] })
    await expect(admin.regenerateToken({ id })).resolves.toMatchObject({ success: true })
    const reader = tunnels.user({ scopes: ['tunnels:write', 'admin:read'] })
    expect(await refused(reader.regenerateToken({ id }))).toMatchObject(tunnelNotFound)
  })

  it('does not find what a key is not for, an admin’s neither, and spends nothing', async () => {
    const user = tunnels.user()
    const [inside, outside] = [await made(user, { subdomain: 'regen-in' }), await made(user)]
    const admin = { scopes: ['tunnels:write', 'admin:write'] }
    for (const one of [{ id: user.id }, admin]) {
      const restricted = tunnels.user({ ...one, subdomains: ['regen-*'] })
      for (let i = 0; i < 6; i++) {
        expect(await refused(restricted.regenerateToken({ id: outside.id }))).toMatchObject(tunnelNotFound)
      }
      expect(await restricted.regenerateToken({ id: inside.id })).toMatchObject({ success: true })
    }
    for (let i = 0; i < 5; i++) await user.regenerateToken({ id: outside.id })
  })

  it.each(BOUNDED)('gives no token to a key that is held to more than it: %j', async (bounds) => {
    const user = tunnels.user()
    const { id, token } = await made(user)
    for (const one of [{ id: user.id }, { scopes: ['tunnels:write', 'admin:write'] }])
      expect(await refused(tunnels.user({ ...one, bounds }).regenerateToken({ id }))).toMatchObject({
        code: 'PERMISSION_DENIED',
        reason: 'KEY_BOUNDED',
        http: 403,
      })
    expect((await user.getTunnel({ id })).token).toBe(token)
  })

  it.each(notTunnelIds)('finds nothing by %s', async (_, id) => {
    expect(await refused(tunnels.user().regenerateToken({ id }))).toMatchObject(tunnelNotFound)
  })
})
