import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { changeKey, changeUser } from '../../test/change.ts'
import { invalid } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())
const person = await auth.register()

const verify = async (secret: string, permissions: string[] = []) =>
  (await auth.internal.verifyKey({ digest: digestOf(secret), permissions })).code

describe('VerifyKey', () => {
  it('says VALID of a key that works and holds what is asked for', async () => {
    const { secret } = auth.neighbours.addKey({
      userId: person.id,
      permissions: ['tunnels:read', 'keys:manage'],
    })
    expect(await verify(secret)).toBe('VALID')
    expect(await verify(secret, ['keys:manage', 'tunnels:read'])).toBe('VALID')
    expect(await verify(person.apiKey, ['tunnels:write'])).toBe('VALID')
  })

  it('says the first of what is wrong, in the published order', async () => {
    const { secret, key } = auth.neighbours.addKey({
      userId: person.id,
      permissions: ['tunnels:read'],
      enabled: false,
      expiresAt: new Date(Date.now() - 1000),
    })
    expect(await verify(secret, ['tunnels:write'])).toBe('DISABLED')
    await changeKey(auth, key, { enabled: true })
    expect(await verify(secret, ['tunnels:write'])).toBe('EXPIRED')
    await changeKey(auth, key, { expiresAt: undefined })
    expect(await verify(secret, ['tunnels:write'])).toBe('INSUFFICIENT_PERMISSIONS')
    expect(await verify(secret, ['tunnels:read'])).toBe('VALID')
  })

  it.each([
    [{ digest: Buffer.alloc(0) }, { field: 'digest', message: 'must be 32 bytes, a SHA-256' }],
    [{ digest: Buffer.alloc(33) }, { field: 'digest', message: 'must be 32 bytes, a SHA-256' }],
    [
      { permissions: Array(33).fill('tunnels:read') },
      { field: 'permissions', message: 'must be at most 32' },
    ],
  ])('refuses %j', async (fields, fault) => {
    const request = { digest: digestOf('it_0123456789abcdef'), permissions: [], ...fields }
    expect(await refused(auth.internal.verifyKey(request))).toEqual(invalid(fault))
  })

  it.each([
    ['a key that there is none of', () => 'it_0123456789abcdef'],
    ['nothing', () => ''],
    ['a key of nobody', () => auth.neighbours.addKey({ userId: 'user_01h00000000000000000000000' }).secret],
  ])('says NOT_FOUND of %s', async (_, secret) => {
    expect(await verify(secret())).toBe('NOT_FOUND')
  })

  it("says NOT_FOUND of a session's key after the session", async () => {
    const { token, apiKey } = await auth.register()
    expect(await verify(apiKey)).toBe('VALID')
    await auth.rest({ bearer: token }).logout()
    expect(await verify(apiKey)).toBe('NOT_FOUND')
  })

  it('cuts a key to what its owner has now', async () => {
    const { secret } = auth.neighbours.addKey({ userId: person.id, permissions: ['*'] })
    expect(await verify(secret, ['users:manage'])).toBe('INSUFFICIENT_PERMISSIONS')
    await changeUser(auth, person.id, { role: 'admin' })
    expect(await verify(secret, ['users:manage'])).toBe('VALID')
    await changeUser(auth, person.id, { role: 'user' })
    expect(await verify(secret, ['users:manage'])).toBe('INSUFFICIENT_PERMISSIONS')
  })

  it('says UNAVAILABLE, and not NOT_FOUND, while keys is away', async () => {
    const { apiKey } = await auth.register()
    auth.neighbours.away.keys = true
    expect(await refused(verify(apiKey))).toMatchObject({ code: 'UNAVAILABLE' })
    auth.neighbours.away.keys = false
  })
})
