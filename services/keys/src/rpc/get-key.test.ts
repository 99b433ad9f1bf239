import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

describe('GetKey', () => {
  it("returns the caller's key, and never its secret", async () => {
    const user = keys.user()
    const { key, id, secret } = await made(user)
    const got = await user.getKey({ id })
    expect(got).toEqual(key)
    expect(JSON.stringify(got)).not.toContain(secret)
  })

  it("does not find another user's key", async () => {
    const { id } = await made(keys.user())
    expect(await refused(keys.user().getKey({ id }))).toEqual(keyNotFound)
  })

  it("finds another user's key with admin:read, not with admin:write", async () => {
    const { id, key } = await made(keys.user())
    expect(await keys.user({ scopes: ['keys:manage', 'admin:read'] }).getKey({ id })).toEqual(key)
    expect(await refused(keys.user({ scopes: ['keys:manage', 'admin:write'] }).getKey({ id }))).toEqual(
      keyNotFound,
    )
  })

  it('does not find a revoked key, not even for an admin', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    expect(await refused(user.getKey({ id }))).toEqual(keyNotFound)
    expect(await refused(keys.user({ role: 'admin' }).getKey({ id }))).toEqual(keyNotFound)
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().getKey({ id }))).toEqual(keyNotFound)
  })

  it('needs keys:manage', async () => {
    const scopes = scopesOfRole('admin').filter((scope) => scope !== 'keys:manage')
    expect(await refused(keys.user({ scopes }).getKey({ id: 'x' }))).toEqual(scopeMissing('keys:manage'))
  })
})
