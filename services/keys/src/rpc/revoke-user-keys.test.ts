import { freshNats } from '@instatunnel/test/nats'
import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { startReplica } from '../../test/auth-replica.ts'
import { invalid, made, scopeMissing } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'

const nats = await freshNats()
const keys = await startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys })
afterAll(() => keys.close())
const admin = keys.user({ role: 'admin', scopes: ['users:manage'] })

/** A user whom auth knows. */
function someone() {
  const user = keys.user()
  keys.auth.users?.set(user.id, 'user')
  return user
}
/** A replica of auth that the service knows of. */
async function aReplica() {
  const replica = startReplica(nats, 'auth_a')
  const { id: userId } = someone()
  const acked = async () => (await admin.revokeUserKeys({ userId })).replicasAcked
  await expect.poll(acked, { timeout: 15_000 }).toBe(1)
  replica.forgotten.length = 0
  return replica
}

describe('RevokeUserKeys', () => {
  it('revokes every key of the account and no other, and has auth forget them before it answers', async () => {
    const [user, other] = [someone(), someone()]
    const kept = await made(other)
    const replica = await aReplica()
    const all = [await made(user), await made(user, { permissions: ['logs:read'] })]
    const session = { sessionId: newSessionId(), userId: user.id, permissions: ['*'] }
    const { keyId, key } = await keys.directory.createSessionKey(session)
    expect(await admin.revokeUserKeys({ userId: user.id, reason: 'stolen laptop' })).toEqual({
      success: true,
      keysRevoked: 3,
      replicasAcked: 1,
      replicasTotal: 1,
      tunnels: [],
      tunnelsKnown: undefined,
      tokensRegenerated: undefined,
      tokensRegeneratedBefore: undefined,
    })
    const [forgotten] = replica.forgotten
    const ids = [keyId, ...all.map(({ id }) => id)].sort()
    expect([...(forgotten?.keys ?? [])].sort()).toEqual(ids)
    for (const secret of [key, ...all.map(({ secret }) => secret)])
      expect(await keys.lookUp(secret)).toBeUndefined()
    expect(await keys.lookUp(kept.secret)).toMatchObject({ id: kept.id })
    const revoked = await admin.listUserKeys({ userId: user.id, state: 'revoked' })
    expect(revoked.keys.map(({ revokedReason }) => revokedReason)).toEqual(Array(3).fill('stolen laptop'))
    expect(await user.restoreKey({ id: all[0]?.id as string })).toMatchObject({ state: 'active' })
  })

  it('succeeds where none is left, and has auth forget the account all the same', async () => {
    const replica = await aReplica()
    const { id: userId } = someone()
    expect(await admin.revokeUserKeys({ userId })).toMatchObject({ success: true, keysRevoked: 0 })
    expect(replica.forgotten).toEqual([{ keys: [], users: [userId] }])
  })

  it('revokes each key once, and tells of it once, however many ask at once', async () => {
    const user = someone()
    for (let n = 0; n < 5; n++) await made(user)
    const answers = await Promise.all([0, 1, 2].map(() => admin.revokeUserKeys({ userId: user.id })))
    expect(answers.reduce((sum, { keysRevoked }) => sum + keysRevoked, 0)).toBe(5)
  })

  it('lets nobody restore what leaked', async () => {
    const user = someone()
    const { id } = await made(user)
    await admin.revokeUserKeys({ userId: user.id, reason: 'leaked' })
    expect(await refused(user.restoreKey({ id }))).toMatchObject({ reason: 'KEY_NOT_RESTORABLE' })
  })

  it('revokes the thousand keys that an account may have in one call', async () => {
    const user = someone()
    const { id } = await made(user)
    await keys.sql`
      insert into api_keys (id, user_id, name, prefix, start, masked, hash, pepper_id, permissions, enabled, metadata,
        created_at, updated_at, rate_limit_enabled, allowed_ips, allowed_subdomains)
      select 'key_' || lpad(n::text, 26, '0'), user_id, name, prefix, start, masked, sha256(n::text::bytea), pepper_id,
        permissions, enabled, metadata, created_at, updated_at, rate_limit_enabled, allowed_ips, allowed_subdomains
      from api_keys, generate_series(1, 999) as n where id = ${id}`
    expect(await admin.revokeUserKeys({ userId: user.id })).toMatchObject({
      keysRevoked: 1000,
    })
    expect((await user.listKeys()).keys).toEqual([])
  })

  it('refuses a reason that is none', async () => {
    const { id: userId } = someone()
    expect(await refused(admin.revokeUserKeys({ userId, reason: 'a\0b' }))).toEqual(
      invalid('reason', 'must not hold control characters'),
    )
  })
})

describe('RevokeUserKeys of keys that leaked', () => {
  const { tunnels } = keys
  const one = [{ id: 'tun_1', name: 'Docs' }]
  beforeEach(() => {
    tunnels.tokens = one
    for (const asked of [tunnels.listed, tunnels.regenerated]) asked.length = 0
  })
  const whole = keys.user({ role: 'admin' })

  it('names the tunnels whose tokens they could have read, to one who may see them', async () => {
    const user = someone()
    await made(user)
    const request = { userId: user.id, reason: 'leaked' }
    expect(await whole.revokeUserKeys(request)).toMatchObject({
      ...{ keysRevoked: 1, tunnels: one, tunnelsKnown: true, tokensRegenerated: undefined },
    })
    expect(await admin.revokeUserKeys(request)).toMatchObject({ tunnels: [], tunnelsKnown: false })
    expect(tunnels.listed).toEqual([{ userId: user.id, within: [] }])
    expect(tunnels.regenerated).toEqual([])
  })

  it('regenerates them, also for keys that were revoked as leaked before, and once', async () => {
    const user = someone()
    const [{ id }] = [await made(user), await made(user)]
    await user.deleteKey({ id, reason: 'leaked' })
    const request = { userId: user.id, reason: 'leaked', regenerate: true }
    tunnels.tokens = { code: 14 }
    expect(await whole.revokeUserKeys(request)).toMatchObject({
      ...{ success: true, keysRevoked: 1, tunnelsKnown: false, tokensRegenerated: false },
    })
    tunnels.tokens = one
    const again = async () => {
      const { tokensRegenerated, tokensRegeneratedBefore } = await whole.revokeUserKeys(request)
      return [tokensRegenerated, tokensRegeneratedBefore]
    }
    tunnels.regenerated.length = 0
    expect(await again()).toEqual([true, undefined])
    expect(await again()).toEqual([true, true])
    expect((await user.deleteKey({ id, reason: 'leaked', regenerate: true })).tokensRegeneratedBefore).toBe(
      true,
    )
    expect(tunnels.regenerated).toEqual([{ userId: user.id, within: [] }])
    await made(user)
    expect(await again()).toEqual([true, undefined])
  })

  it('regenerates nothing for one who may not, or for another reason, and then revokes nothing', async () => {
    const user = someone()
    const { secret } = await made(user)
    const request = { userId: user.id, reason: 'leaked', regenerate: true }
    expect(await refused(admin.revokeUserKeys(request))).toEqual(scopeMissing('tunnels:write'))
    const scopes = ['users:manage', 'tunnels:write']
    expect(await refused(keys.user({ role: 'admin', scopes }).revokeUserKeys(request))).toEqual(
      scopeMissing('admin:write'),
    )
    expect(await refused(whole.revokeUserKeys({ ...request, reason: 'lost' }))).toEqual(
      invalid('regenerate', 'is for a key that is deleted with reason "leaked"'),
    )
    expect(await keys.lookUp(secret)).toBeDefined()
    expect(tunnels.regenerated).toEqual([])
  })
})
