import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { newSessionId, startKeys, type User } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

async function rotated(user: User, permissions: string[] = []) {
  const { id, secret } = await made(user, { permissions })
  const { key, apiKey } = await user.rotateKey({ id, gracePeriod: 3600 })
  return { id, old: secret, current: key, apiKey }
}

describe('EndGracePeriod', () => {
  it('ends what is left of it: the old secret is known no more, the new one is', async () => {
    const user = keys.user()
    const { id, old, current, apiKey } = await rotated(user)
    const ended = await user.endGracePeriod({ id })
    expect(ended).toEqual({ ...apiKey, oldSecret: undefined, updatedAt: expect.any(Date) })
    expect(await user.getKey({ id })).toEqual(ended)
    expect(await keys.lookUp(old)).toBeUndefined()
    expect(await keys.lookUp(current)).toMatchObject({ id })
    const [row] = await keys.sql`select old_hash, old_masked from api_keys where id = ${id}`
    expect(row).toEqual({ oldHash: null, oldMasked: null })
  })

  it('returns a key without one as it is', async () => {
    const user = keys.user()
    const { id, key } = await made(user)
    expect(await user.endGracePeriod({ id })).toEqual(key)
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    expect(await user.endGracePeriod({ id: keyId })).toEqual(await user.getKey({ id: keyId }))
  })

  it('succeeds again, and changes nothing', async () => {
    const user = keys.user()
    const { id } = await rotated(user)
    const ended = await user.endGracePeriod({ id })
    expect(await user.endGracePeriod({ id })).toEqual(ended)
  })

  it("ends no other user's, unless with admin:write", async () => {
    const owner = keys.user()
    const { id, old } = await rotated(owner)
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      expect(await refused(keys.user({ scopes }).endGracePeriod({ id }))).toEqual(keyNotFound)
    }
    expect(await keys.lookUp(old)).toMatchObject({ id })
    await keys.user({ role: 'admin' }).endGracePeriod({ id })
    expect(await keys.lookUp(old)).toBeUndefined()
  })

  it('refuses a credential that could not have made the key', async () => {
    const owner = keys.user()
    const { id, old } = await rotated(owner, ['tunnels:*'])
    const narrow = keys.user({ id: owner.id, scopes: ['keys:manage', 'tunnels:read'] })
    expect(await refused(narrow.endGracePeriod({ id }))).toEqual(scopeMissing('tunnels:delete'))
    expect(await keys.lookUp(old)).toMatchObject({ id })
  })

  it('does not find a revoked key', async () => {
    const user = keys.user()
    const { id } = await rotated(user)
    await user.deleteKey({ id })
    expect(await refused(user.endGracePeriod({ id }))).toEqual(keyNotFound)
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().endGracePeriod({ id }))).toEqual(keyNotFound)
  })
})
