import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { made, scopeMissing } from '../../test/made.ts'
import { newUserId, startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())
const admin = keys.user({ role: 'admin' })
const [owner, boss] = [keys.user(), keys.user({ role: 'admin' })]
beforeEach(() => {
  keys.auth.users = new Map([
    [owner.id, 'user'],
    [boss.id, 'admin'],
  ])
})

describe('CreateKey with user_id', () => {
  it('makes a key of that user, who may see and revoke it', async () => {
    const { key, id } = await made(admin, { userId: owner.id, permissions: ['tunnels:read'] })
    expect(key).toMatchObject({ userId: owner.id, permissions: ['tunnels:read'] })
    expect((await owner.listKeys()).keys).toEqual([key])
    expect((await admin.listKeys()).keys).toEqual([])
    await owner.deleteKey({ id })
  })

  it('gives what every user may do where no permissions are asked for, also to an admin', async () => {
    for (const { id } of [owner, boss]) {
      const { key } = await made(admin, { userId: id })
      expect(key.permissions).toEqual(scopesOfRole('user'))
    }
  })

  it('gives an admin what admins may do where it is asked for, and nobody what the user lacks', async () => {
    const permissions = ['admin:*', 'tunnels:read']
    expect((await made(admin, { userId: boss.id, permissions })).key.permissions).toEqual(permissions)
    const message = 'The user with this user_id lacks a permission that is asked for'
    expect(await refused(admin.createKey({ name: 'x', userId: owner.id, permissions }))).toEqual({
      code: 'PERMISSION_DENIED',
      reason: 'OWNER_SCOPE_MISSING',
      message,
      metadata: { required_scope: 'admin:read' },
      http: 403,
      body: { error: 'forbidden', message, code: 4003, required_scope: 'admin:read' },
    })
  })

  it('gives no scope that the caller lacks, whatever the user has', async () => {
    const narrow = keys.user({ scopes: ['keys:manage', 'admin:write'] })
    const request = { name: 'x', userId: boss.id, permissions: ['users:manage'] }
    expect(await refused(narrow.createKey(request))).toEqual(scopeMissing('users:manage'))
  })

  it("makes one's own where it names oneself, and asks nobody", async () => {
    keys.auth.users = undefined
    const { key } = await made(admin, { userId: admin.id })
    expect(key).toMatchObject({ userId: admin.id, permissions: scopesOfRole('admin') })
  })

  it.each(['', 'nobody', 'user_', "user_' or 1=1 --", 'user_\0', newUserId(), 'x'.repeat(100_000)])(
    'finds nobody with %j',
    async (userId) => {
      const message = 'There is no user with this user_id'
      expect(await refused(admin.createKey({ name: 'x', userId }))).toEqual({
        code: 'NOT_FOUND',
        reason: 'USER_NOT_FOUND',
        message,
        metadata: {},
        http: 404,
        body: { error: 'not_found', message, code: 4004 },
      })
    },
  )

  it('is unavailable while auth is away, and makes nothing', async () => {
    keys.auth.users = undefined
    const userId = newUserId()
    expect(await refused(admin.createKey({ name: 'x', userId }))).toMatchObject({
      code: 'UNAVAILABLE',
      http: 503,
    })
    expect(await keys.sql`select from api_keys where user_id = ${userId}`).toHaveLength(0)
  })
})
