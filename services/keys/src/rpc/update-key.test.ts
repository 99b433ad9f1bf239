import { scopesOfRole } from '@instatunnel/kit/scope'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'

let time = Date.parse('2026-01-01')
const keys = await startKeys({}, { now: () => new Date(time++) })
afterAll(() => keys.close())

describe('UpdateKey', () => {
  it('changes what is present, keeps the rest, and returns the key', async () => {
    const user = keys.user()
    const { key, id } = await made(user, { expiresIn: 60, metadata: { a: 1 } })
    const after = await user.updateKey({ id, name: 'after' })
    expect(after).toEqual({ ...key, name: 'after', updatedAt: expect.any(Date) })
    expect(Number(after.updatedAt)).toBeGreaterThan(Number(key.updatedAt))
    expect(await user.getKey({ id })).toEqual(after)
  })

  it('changes everything at once; the secret stays', async () => {
    const user = keys.user()
    const { id, secret } = await made(user, { metadata: { gone: 1 } })
    const change = { name: 'n', permissions: ['logs:read'], enabled: false, metadata: { user_id: 2 } }
    const after = await user.updateKey({ id, ...change, expiresIn: 10 })
    expect(after).toMatchObject(change)
    expect(after.metadata).toEqual({ user_id: 2 })
    expect(after.expiresAt).toEqual(new Date(Number(after.updatedAt) + 10_000))
    expect(await keys.lookUp(secret)).toMatchObject({
      id,
      enabled: false,
      permissions: ['logs:read'],
      expiresAt: after.expiresAt,
    })
  })

  it('sets exactly the fields of the mask', async () => {
    const user = keys.user()
    const { key, id } = await made(user)
    const updateMask = ['enabled', 'expires_in']
    const after = await user.updateKey({
      id,
      name: '',
      enabled: false,
      expiresIn: 5,
      metadata: { a: 1 },
      updateMask,
    })
    expect(after).toMatchObject({ name: key.name, enabled: false, metadata: {} })
    expect(after.expiresAt).toBeInstanceOf(Date)
  })

  it('takes the mask in either spelling', async () => {
    const user = keys.user()
    const { id } = await made(user, { expiresIn: 60 })
    expect((await user.updateKey({ id, updateMask: ['expiresIn'] })).expiresAt).toBeUndefined()
  })

  it('clears what the mask names and the request leaves out', async () => {
    const user = keys.user()
    const { id } = await made(user, { permissions: ['logs:read'], expiresIn: 60, metadata: { a: 1 } })
    await user.updateKey({ id, enabled: false })
    expect(await user.updateKey({ id, name: 'kept', updateMask: ['*'] })).toMatchObject({
      name: 'kept',
      permissions: scopesOfRole('user'),
      enabled: true,
      metadata: {},
      expiresAt: undefined,
    })
  })

  it('takes all permissions from a key', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    expect((await user.updateKey({ id, noPermissions: true })).permissions).toEqual([])
    expect(await keys.lookUp(secret)).toMatchObject({ permissions: [] })
    // To nothing it may be held by its mask as well, and by the name of either field.
    for (const updateMask of [['permissions'], ['noPermissions'], ['*']]) {
      await user.updateKey({ id, permissions: ['logs:read'] })
      const after = await user.updateKey({ id, name: 'x', noPermissions: true, updateMask })
      expect(after.permissions).toEqual([])
    }
    // False says nothing, and what is cleared is all of the owner's again.
    expect((await user.updateKey({ id, noPermissions: false })).permissions).toEqual([])
    const message = 'cannot be set to false; name permissions'
    expect(
      await refused(user.updateKey({ id, noPermissions: false, updateMask: ['no_permissions'] })),
    ).toEqual(invalid('no_permissions', message))
    expect((await user.updateKey({ id, updateMask: ['no_permissions'] })).permissions).toEqual(
      scopesOfRole('user'),
    )
  })

  it('sets when a key expires, in either way', async () => {
    const user = keys.user()
    const { id } = await made(user, { expiresIn: 60 })
    const expiresAt = new Date(time + 3_600_000)
    expect((await user.updateKey({ id, expiresAt })).expiresAt).toEqual(expiresAt)
    for (const updateMask of [['expires_at'], ['expires_in'], ['expiresAt', 'expiresIn']]) {
      await user.updateKey({ id, updateMask })
      expect((await user.getKey({ id })).expiresAt).toBeUndefined()
      expect((await user.updateKey({ id, expiresAt, updateMask })).expiresAt).toEqual(expiresAt)
    }
    expect(await refused(user.updateKey({ id, expiresAt: new Date(time - 1000) }))).toEqual(
      invalid('expires_at', 'must be after now, and at most ten years from now'),
    )
    const { body } = await refused(user.updateKey({ id, expiresAt, expiresIn: 5 }))
    expect(body.fields.map(({ field }: { field: string }) => field)).toEqual(['expires_in', 'expires_at'])
    const both = { permissions: ['logs:read'], noPermissions: true }
    expect((await refused(user.updateKey({ id, ...both }))).body.fields).toHaveLength(2)
    expect((await user.getKey({ id })).expiresAt).toEqual(expiresAt)
  })

  it('cannot clear a name', async () => {
    const user = keys.user()
    const { id } = await made(user)
    expect(await refused(user.updateKey({ id, updateMask: ['name'] }))).toEqual(
      invalid('name', 'must be 1 to 100 characters'),
    )
  })

  it('leaves everything alone where nothing is said, or nothing would change', async () => {
    const user = keys.user()
    const { key, id } = await made(user, {
      permissions: ['logs:read', 'tunnels:*'],
      metadata: { a: [{ b: 1 }] },
    })
    expect(await user.updateKey({ id })).toEqual(key)
    const same = {
      name: key.name,
      permissions: ['tunnels:*', 'logs:read'],
      enabled: true,
      metadata: { a: [{ b: 1 }] },
    }
    expect(await user.updateKey({ id, ...same })).toEqual(key)
  })

  it("does not find another user's key", async () => {
    const owner = keys.user()
    const { key, id } = await made(owner)
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      expect(await refused(keys.user({ scopes }).updateKey({ id, name: 'x' }))).toEqual(keyNotFound)
    }
    expect(await owner.getKey({ id })).toEqual(key)
  })

  it("changes another user's key with admin:write, which stays that user's", async () => {
    const owner = keys.user()
    const { key, id } = await made(owner)
    const admin = keys.user({ role: 'admin' })
    const after = await admin.updateKey({ id, enabled: false })
    expect(after).toEqual({ ...key, enabled: false, state: 'disabled', updatedAt: expect.any(Date) })
    expect(await owner.getKey({ id })).toEqual(after)
  })

  it("clears the permissions of another user's key to what every user may do, not to the admin's", async () => {
    const { id } = await made(keys.user(), { permissions: ['logs:read'] })
    const admin = keys.user({ role: 'admin' })
    expect((await admin.updateKey({ id, updateMask: ['permissions'] })).permissions).toEqual(
      scopesOfRole('user'),
    )
  })

  it('does not find a revoked key', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    expect(await refused(user.updateKey({ id, enabled: true }))).toEqual(keyNotFound)
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().updateKey({ id, name: 'x' }))).toEqual(keyNotFound)
  })

  describe('by a credential that holds keys:manage and tunnels:read only', () => {
    const narrow = ['keys:manage', 'tunnels:read']
    const cases = [
      {
        what: 'widen a key',
        had: ['tunnels:read'],
        change: { permissions: ['tunnels:write'] },
        lacks: 'tunnels:write',
      },
      {
        what: 'widen a key by a pattern',
        had: ['tunnels:read'],
        change: { permissions: ['tunnels:*'] },
        lacks: 'tunnels:delete',
      },
      {
        what: 'widen a key by clearing',
        had: ['tunnels:read'],
        change: { updateMask: ['permissions'] },
        lacks: 'account:read',
      },
      {
        what: 'narrow a wider key',
        had: ['logs:read'],
        change: { permissions: ['tunnels:read'] },
        lacks: 'logs:read',
      },
      { what: 'enable a wider key', had: ['logs:read'], change: { enabled: true }, lacks: 'logs:read' },
      { what: 'prolong a wider key', had: ['logs:read'], change: { expiresIn: 1000 }, lacks: 'logs:read' },
      { what: 'rename a wider key', had: ['tunnels:*'], change: { name: 'x' }, lacks: 'tunnels:delete' },
    ]
    it.each(cases)('does not $what', async ({ had, change, lacks }) => {
      const owner = keys.user()
      const { key, id } = await made(owner, { permissions: had })
      const caller = keys.user({ id: owner.id, scopes: narrow })
      expect(await refused(caller.updateKey({ id, ...change }))).toEqual(scopeMissing(lacks))
      expect(await owner.getKey({ id })).toEqual(key)
    })

    it('changes a key that it could have made', async () => {
      const owner = keys.user()
      const { id } = await made(owner, { permissions: ['tunnels:read'] })
      const caller = keys.user({ id: owner.id, scopes: narrow })
      expect(await caller.updateKey({ id, permissions: narrow })).toMatchObject({ permissions: narrow })
    })
  })

  it('gives an admin no scope by a key of a user', async () => {
    const user = keys.user()
    const { id } = await made(user)
    expect(await refused(user.updateKey({ id, permissions: ['*'] }))).toEqual(scopeMissing('admin:read'))
  })

  it("refuses to change a session's key", async () => {
    const user = keys.user()
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    const message = 'This key belongs to a session and changes with it only'
    expect(await refused(user.updateKey({ id: keyId, name: 'mine' }))).toEqual({
      code: 'ABORTED',
      reason: 'SESSION_KEY',
      message,
      metadata: {},
      http: 409,
      body: { error: 'conflict', message, code: 4010 },
    })
  })

  const choices = [
    'name, permissions, enabled, metadata, expires_in, remaining, refill_amount, refill_interval',
    'rate_limit_enabled, rate_limit_time_window, rate_limit_max, allowed_ips, allowed_subdomains',
  ].join(', ')
  it.each([
    { request: { name: ' ' }, field: 'name', message: 'must not be blank' },
    { request: { name: '\0' }, field: 'name', message: 'must not hold control characters' },
    {
      request: { permissions: ['x'] },
      field: 'permissions[0]',
      message: 'is not a scope, nor a pattern that matches one',
    },
    {
      request: { expiresIn: 0 },
      field: 'expires_in',
      message: 'must be from 1 to 315360000 seconds (ten years)',
    },
    {
      request: { metadata: { a: '\0' } },
      field: 'metadata',
      message: 'must hold no NUL characters and no lone surrogates',
    },
    {
      request: { updateMask: ['name', 'prefix'] },
      field: 'update_mask',
      message: `"prefix" cannot be updated; name some of ${choices}`,
    },
    {
      request: { updateMask: ['user_id'] },
      field: 'update_mask',
      message: `"user_id" cannot be updated; name some of ${choices}`,
    },
  ])('refuses $field: $message', async ({ request, field, message }) => {
    const user = keys.user()
    const { key, id } = await made(user)
    expect(await refused(user.updateKey({ id, ...request }))).toEqual(invalid(field, message))
    expect(await user.getKey({ id })).toEqual(key)
  })

  it('loses no change of several at once', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await Promise.all([
      user.updateKey({ id, name: 'new' }),
      user.updateKey({ id, enabled: false }),
      user.updateKey({ id, metadata: { a: 1 } }),
      user.updateKey({ id, permissions: ['logs:read'] }),
    ])
    expect(await user.getKey({ id })).toMatchObject({
      name: 'new',
      enabled: false,
      metadata: { a: 1 },
      permissions: ['logs:read'],
    })
  })
})
