import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const DAY_MS = 24 * 60 * 60 * 1000
let time = Date.parse('2026-01-01')
const keys = await startKeys({}, { now: () => new Date(time) })
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

  it('finds a revoked key for 30 days, for whom it found it before', async () => {
    const user = keys.user()
    const admin = keys.user({ role: 'admin' })
    const { id } = await made(user)
    await user.deleteKey({ id })
    const revoked = await user.getKey({ id })
    expect(revoked.state).toBe('revoked')
    expect(await admin.getKey({ id })).toEqual(revoked)
    expect(await refused(keys.user().getKey({ id }))).toEqual(keyNotFound)

    const ended = time + 30 * DAY_MS
    time = ended - 1
    expect(await user.getKey({ id })).toEqual({ ...revoked, restorableUntil: undefined })
    time = ended
    expect(await refused(user.getKey({ id }))).toEqual(keyNotFound)
    expect(await refused(admin.getKey({ id }))).toEqual(keyNotFound)
  })

  it('tells the last state that applies, to the millisecond', async () => {
    const user = keys.user()
    const { id } = await made(user, { expiresIn: 60 })
    const state = async () => (await user.getKey({ id })).state
    const ends = time + 60_000
    expect(await state()).toBe('active')
    await user.updateKey({ id, enabled: false })
    expect(await state()).toBe('disabled')
    time = ends - 1
    expect(await state()).toBe('disabled')
    time = ends
    expect(await state()).toBe('expired')
    await user.deleteKey({ id })
    expect(await state()).toBe('revoked')
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().getKey({ id }))).toEqual(keyNotFound)
  })

  it('needs keys:manage', async () => {
    const scopes = scopesOfRole('admin').filter((scope) => scope !== 'keys:manage')
    expect(await refused(keys.user({ scopes }).getKey({ id: 'x' }))).toEqual(scopeMissing('keys:manage'))
  })
})
