import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'

const HOUR_MS = 60 * 60 * 1000
let time = Date.parse('2026-01-01')
const keys = await startKeys({}, { now: () => new Date(time) })
afterAll(() => keys.close())

const conflict = (reason: string, message: string) => ({
  code: 'ABORTED',
  reason,
  message,
  metadata: {},
  http: 409,
  body: { error: 'conflict', message, code: 4010 },
})
const tooLate = conflict(
  'KEY_NOT_RESTORABLE',
  'This API key was revoked more than 24 hours ago; make another one',
)

describe('RestoreKey', () => {
  it('returns the key as it was, and it is found by its secret again', async () => {
    const user = keys.user()
    const { key, id, secret } = await made(user, {
      permissions: ['tunnels:*'],
      metadata: { a: 1 },
      allowedIps: ['::1'],
    })
    await user.deleteKey({ id, reason: 'by mistake' })
    expect(await keys.lookUp(secret)).toBeUndefined()
    const restored = await user.restoreKey({ id })
    expect(restored).toEqual({ ...key, updatedAt: expect.any(Date) })
    expect(await user.getKey({ id })).toEqual(restored)
    expect((await user.listKeys()).keys).toEqual([restored])
    expect((await user.listKeys({ state: 'revoked' })).keys).toEqual([])
    expect(await keys.lookUp(secret)).toMatchObject({ id, permissions: expect.any(Array) })
  })

  it('returns one that was disabled disabled, with what remained of it', async () => {
    const admin = keys.user({ role: 'admin' })
    const { id } = await made(admin, { remaining: 7 })
    await admin.updateKey({ id, enabled: false })
    await admin.deleteKey({ id })
    expect(await admin.restoreKey({ id })).toMatchObject({ state: 'disabled', remaining: 7 })
  })

  it('undoes a revocation by a logout', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await keys.directory.revokeKey({ keyId: id, reason: 'logout' })
    expect(await user.restoreKey({ id })).toMatchObject({ state: 'active' })
  })

  it('undoes it within 24 hours, to the millisecond', async () => {
    const user = keys.user()
    const [early, late] = [await made(user), await made(user)]
    await user.deleteKey({ id: early.id })
    const earlyUntil = (await user.getKey({ id: early.id })).restorableUntil
    time += 1000
    await user.deleteKey({ id: late.id })
    const lateUntil = (await user.getKey({ id: late.id })).restorableUntil
    time = Number(earlyUntil) - 1
    expect(await user.restoreKey({ id: early.id })).toMatchObject({ state: 'active' })
    time = Number(lateUntil)
    expect(await refused(user.restoreKey({ id: late.id }))).toEqual(tooLate)
    expect(await user.getKey({ id: late.id })).toMatchObject({ state: 'revoked', restorableUntil: undefined })
    time += 30 * 24 * HOUR_MS
    expect(await refused(user.restoreKey({ id: late.id }))).toEqual(keyNotFound)
  })

  it.each(['leaked', 'Leaked ', 'LEAKED'])('restores no key that was revoked as %j', async (reason) => {
    const user = keys.user()
    const { id, secret } = await made(user)
    await user.deleteKey({ id, reason })
    const message = 'This API key was revoked because it leaked; make another one'
    for (const caller of [user, keys.user({ role: 'admin' })]) {
      expect(await refused(caller.restoreKey({ id }))).toEqual(conflict('KEY_NOT_RESTORABLE', message))
    }
    expect(await keys.lookUp(secret)).toBeUndefined()
  })

  it("restores no session's key", async () => {
    const user = keys.user()
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    await user.deleteKey({ id: keyId })
    const message = 'This key belonged to a session; log in for another'
    expect(await refused(user.restoreKey({ id: keyId }))).toEqual(conflict('KEY_NOT_RESTORABLE', message))
  })

  it('refuses where the key is not revoked', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const refusal = conflict('KEY_NOT_REVOKED', 'This API key is not revoked')
    expect(await refused(user.restoreKey({ id }))).toEqual(refusal)
    await user.deleteKey({ id })
    await user.restoreKey({ id })
    expect(await refused(user.restoreKey({ id }))).toEqual(refusal)
  })

  it("restores no other user's key, unless with admin:write", async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    await owner.deleteKey({ id })
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      expect(await refused(keys.user({ scopes }).restoreKey({ id }))).toEqual(keyNotFound)
    }
    expect((await owner.getKey({ id })).state).toBe('revoked')
    await keys.user({ role: 'admin' }).restoreKey({ id })
    expect((await owner.getKey({ id })).state).toBe('active')
  })

  it('refuses a credential that could not have made the key', async () => {
    const owner = keys.user()
    const { id } = await made(owner, { permissions: ['tunnels:*'] })
    await owner.deleteKey({ id })
    const narrow = keys.user({ id: owner.id, scopes: ['keys:manage', 'tunnels:read'] })
    expect(await refused(narrow.restoreKey({ id }))).toEqual(scopeMissing('tunnels:delete'))
    expect((await owner.getKey({ id })).state).toBe('revoked')
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().restoreKey({ id }))).toEqual(keyNotFound)
  })

  it('restores once, however many ask at once', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => user.restoreKey({ id })))
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('gives nobody more than 1,000 keys, however many are restored and made at once', async () => {
    const user = keys.user()
    const ids: string[] = []
    for (let n = 0; n < 10; n++) ids.push((await made(user)).id)
    for (const id of ids) await user.deleteKey({ id })
    await keys.sql`
      insert into api_keys (id, user_id, name, prefix, start, masked, hash, pepper_id, permissions, created_at, updated_at)
      select 'filled_' || ${user.id} || n, ${user.id}, 'x', 'it_', 'it_xx', 'it_***...xxx',
        sha256((${user.id} || n)::bytea), 'p1', '{}', now(), now()
      from generate_series(1, 995) as n`
    const settled = await Promise.allSettled([
      ...ids.map((id) => user.restoreKey({ id })),
      ...ids.map(() => user.createKey({ name: 'x' })),
    ])
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    const [row] = await keys.sql`
      select count(*)::integer as count from api_keys where user_id = ${user.id} and revoked_at is null`
    expect(row).toEqual({ count: 1000 })
    const revoked = (await user.listKeys({ state: 'revoked' })).keys[0]?.id ?? ''
    expect(await refused(user.restoreKey({ id: revoked }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'KEY_LIMIT',
      http: 403,
    })
  })
})
