import { scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

describe('DeleteKey', () => {
  it('revokes a key for ever', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    expect(await user.deleteKey({ id, reason: 'leaked' })).toEqual({ success: true })
    expect(await refused(keys.directory.lookUpKey({ digest: digestOf(secret) }))).toEqual(keyNotFound)
    expect(await refused(user.deleteKey({ id }))).toEqual(keyNotFound)
  })

  it('revokes once, however many ask at once', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => user.deleteKey({ id })))
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it("does not find another user's key, unless with admin:write", async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      expect(await refused(keys.user({ scopes }).deleteKey({ id }))).toEqual(keyNotFound)
    }
    await owner.getKey({ id })
    await keys.user({ role: 'admin' }).deleteKey({ id })
    expect(await refused(owner.getKey({ id }))).toEqual(keyNotFound)
  })

  it('refuses a credential that could not have made the key', async () => {
    const owner = keys.user()
    const { id } = await made(owner, { permissions: ['tunnels:*'] })
    const caller = keys.user({ id: owner.id, scopes: ['keys:manage', 'tunnels:read'] })
    expect(await refused(caller.deleteKey({ id }))).toEqual(scopeMissing('tunnels:delete'))
    await owner.getKey({ id })
  })

  it('lets one who is no admin any more revoke the keys of an admin’s time', async () => {
    const admin = keys.user({ role: 'admin' })
    const { id } = await made(admin, { permissions: ['users:manage', 'tunnels:read'] })
    const demoted = keys.user({ id: admin.id })
    expect(await demoted.deleteKey({ id, reason: 'leaked' })).toEqual({ success: true })
  })

  it("ends a session's key", async () => {
    const user = keys.user()
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId, key } = await keys.directory.createSessionKey(request)
    await user.deleteKey({ id: keyId })
    expect(await refused(keys.directory.lookUpKey({ digest: digestOf(key) }))).toEqual(keyNotFound)
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().deleteKey({ id }))).toEqual(keyNotFound)
  })

  it.each([
    { reason: 'x'.repeat(201), message: 'must be at most 200 characters' },
    { reason: 'x'.repeat(1_000_000), message: 'must be at most 200 characters' },
    { reason: 'a\0', message: 'must not hold control characters' },
  ])('refuses a reason that $message', async ({ reason, message }) => {
    const user = keys.user()
    const { id } = await made(user)
    expect(await refused(user.deleteKey({ id, reason }))).toEqual(invalid('reason', message))
    await user.getKey({ id })
  })
})
