import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, made, scopeMissing } from '../../test/made.ts'
import { newSessionId, newUserId, startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())
const admin = keys.user({ role: 'admin', scopes: ['users:manage'] })

/** A user whom auth knows. */
function someone() {
  const user = keys.user()
  keys.auth.users?.set(user.id, 'user')
  return user
}
const noAccount = {
  code: 'NOT_FOUND',
  reason: 'USER_NOT_FOUND',
  message: 'There is no such account',
  metadata: {},
  http: 404,
  body: { error: 'not_found', message: 'There is no such account', code: 4004 },
}

describe('ListUserKeys', () => {
  it("lists an account's keys as their owner sees them, those of sessions included, page by page", async () => {
    const user = someone()
    await made(someone())
    const first = await made(user)
    const session = { sessionId: newSessionId(), userId: user.id, permissions: ['*'] }
    const { keyId } = await keys.directory.createSessionKey(session)
    const last = await made(user)
    const listed = await admin.listUserKeys({ userId: user.id })
    expect(listed).toEqual(await user.listKeys())
    expect(listed.keys.map(({ id }) => id)).toEqual([last.id, keyId, first.id])
    expect(JSON.stringify(listed)).not.toContain(first.secret)
    const page = await admin.listUserKeys({ userId: user.id, pageSize: 2 })
    const { nextPageToken: pageToken } = page
    const rest = await admin.listUserKeys({ userId: user.id, pageSize: 2, pageToken })
    expect([page, rest].map((each) => each.keys.map(({ id }) => id))).toEqual([[last.id, keyId], [first.id]])
  })

  it('lists those in one state', async () => {
    const user = someone()
    const [kept, gone] = [await made(user), await made(user)]
    await user.deleteKey({ id: gone.id })
    const idsOf = async (state?: string) =>
      (await admin.listUserKeys({ userId: user.id, ...(state ? { state } : {}) })).keys.map(({ id }) => id)
    expect(await idsOf()).toEqual([kept.id])
    expect(await idsOf('revoked')).toEqual([gone.id])
  })

  it.each([
    [{ state: 'x' }, 'state', 'must be one of active, disabled, expired, revoked'],
    [{ pageSize: -1 }, 'page_size', 'must not be negative'],
  ])('refuses %j', async (fields, field, message) => {
    expect(await refused(admin.listUserKeys({ userId: someone().id, ...fields }))).toEqual(
      invalid(field, message),
    )
  })

  it.each(['', 'user_x', newUserId()])('finds no account by %j', async (userId) => {
    expect(await refused(admin.listUserKeys({ userId }))).toEqual(noAccount)
    expect(await refused(admin.revokeUserKeys({ userId }))).toEqual(noAccount)
  })

  it('needs users:manage, for keys of one’s own too', async () => {
    const user = someone()
    const reader = keys.user({ role: 'admin', scopes: ['keys:manage', 'admin:read', 'admin:write'] })
    for (const caller of [user, reader]) {
      expect(await refused(caller.listUserKeys({ userId: user.id }))).toEqual(scopeMissing('users:manage'))
      expect(await refused(caller.revokeUserKeys({ userId: user.id }))).toEqual(scopeMissing('users:manage'))
    }
  })
})
