import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, scopeMissing } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())
const admin = await auth.registerAdmin()
const rest = auth.rest({ bearer: admin.token })

const roleOf = async (id: string) => (await auth.sql`select role from users where id = ${id}`)[0]?.role
const lastAdmin = {
  code: 'ABORTED',
  reason: 'LAST_ADMIN',
  message: 'This is the last admin; make another one first',
  metadata: {},
  fields: [{ field: 'role', message: 'is the last admin' }],
  http: 409,
  body: {
    error: 'conflict',
    message: 'This is the last admin; make another one first',
    code: 4010,
    fields: [{ field: 'role', message: 'is the last admin' }],
  },
}

describe('AdminService.UpdateUser', () => {
  it("sets a plan, in force from the account's next call on", async () => {
    const person = await auth.register()
    const before = await auth.rest({ bearer: person.token }).whoAmI()
    expect(await rest.adminUpdateUser({ id: person.id, plan: 'pro' })).toEqual({
      id: person.id,
      email: person.email,
      name: '',
      username: person.email.split('@')[0],
      plan: 'pro',
      role: 'user',
      status: 'active',
      createdAt: before.user?.createdAt,
    })
    const after = await auth.rest({ bearer: person.token }).whoAmI()
    expect([before.plan, after.plan]).toEqual(['free', 'pro'])
  })

  it('sets a role, and with it what sessions and keys may do, both ways', async () => {
    const person = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: person.id, permissions: ['*'] })
    await rest.adminUpdateUser({ id: person.id, role: 'admin' })
    for (const bearer of [person.token, secret])
      expect((await auth.rest({ bearer }).listUsers({ email: person.email })).users).toHaveLength(1)
    await rest.adminUpdateUser({ id: person.id, role: 'user' })
    for (const bearer of [person.token, secret])
      await expect(auth.rest({ bearer }).listUsers()).rejects.toMatchObject({
        checked: scopeMissing('users:manage'),
      })
  })

  it.each([
    { allowedIps: ['0.0.0.0/0'] },
    { allowedSubdomains: ['docs-*'] },
    { expiresAt: new Date(Date.now() + 3_600_000) },
  ])('makes nobody an admin by a key that is held to %j, which an admin is not', async (bound) => {
    const person = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: admin.id, permissions: ['*'], ...bound })
    const key = auth.rest({ bearer: secret })
    const bounded = { reason: 'KEY_BOUNDED', http: 403 }
    expect(await refused(key.adminUpdateUser({ id: person.id, role: 'admin' }))).toMatchObject(bounded)
    expect(await roleOf(person.id)).toBe('user')
    await key.adminUpdateUser({ id: person.id, plan: 'pro' })
    // Nor does it let one in again who is suspended.
    await rest.adminUpdateUser({ id: person.id, role: 'admin', status: 'suspended' })
    expect(await refused(key.adminUpdateUser({ id: person.id, status: 'active' }))).toMatchObject(bounded)
    await key.adminUpdateUser({ id: person.id, role: 'user', status: 'active' })
  })

  it('makes nobody an admin by a key that lacks what admins may do', async () => {
    const person = await auth.register()
    const permissions = ['account:*', 'users:manage']
    const { secret } = auth.neighbours.addKey({ userId: admin.id, permissions })
    const key = auth.rest({ bearer: secret })
    expect(await refused(key.adminUpdateUser({ id: person.id, role: 'admin' }))).toMatchObject({
      reason: 'SCOPE_MISSING',
      http: 403,
      body: { required_scope: 'admin:read' },
    })
    await key.adminUpdateUser({ id: person.id, plan: 'pro', status: 'suspended' })
    await key.adminUpdateUser({ id: person.id, status: 'active' })
    expect(await roleOf(person.id)).toBe('user')
  })

  it('sets what update_mask names, absent ones back to free and user', async () => {
    const { id } = await auth.register()
    await rest.adminUpdateUser({ id, plan: 'business', role: 'admin' })
    expect(await rest.adminUpdateUser({ id, updateMask: ['plan'] })).toMatchObject({
      plan: 'free',
      role: 'admin',
    })
    expect(await rest.adminUpdateUser({ id, plan: 'pro', updateMask: ['role'] })).toMatchObject({
      plan: 'free',
      role: 'user',
    })
    expect(await rest.adminUpdateUser({ id, plan: 'pro', updateMask: ['*'] })).toMatchObject({
      plan: 'pro',
      role: 'user',
    })
  })

  it('keeps the last admin', async () => {
    const others = (await rest.listUsers({ pageSize: 200 })).users.filter(
      ({ id, role }) => role === 'admin' && id !== admin.id,
    )
    for (const { id } of others) await rest.adminUpdateUser({ id, role: 'user' })
    expect(await refused(rest.adminUpdateUser({ id: admin.id, role: 'user' }))).toEqual(lastAdmin)
    expect(await refused(rest.adminUpdateUser({ id: admin.id, updateMask: ['role'] }))).toEqual(lastAdmin)
    expect(await roleOf(admin.id)).toBe('admin')
    expect(await rest.adminUpdateUser({ id: admin.id, role: 'admin', plan: 'pro' })).toMatchObject({
      plan: 'pro',
    })
  })

  it('keeps one of two admins who demote one another at once', async () => {
    for (let round = 0; round < 10; round++) {
      const other = await auth.register()
      await rest.adminUpdateUser({ id: other.id, role: 'admin' })
      const demote = (by: string, id: string) =>
        auth
          .rest({ bearer: by })
          .adminUpdateUser({ id, role: 'user' })
          .then(
            () => 'done',
            (error) =>
              error.checked
                ? 'no admin any more'
                : refused(Promise.reject(error)).then(({ reason }) => reason),
          )
      const outcomes = await Promise.all([demote(admin.token, other.id), demote(other.token, admin.id)])
      expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1)
      expect(outcomes).not.toContain('INTERNAL')
      // Give it back to the one that the other tests count on.
      await auth.sql`update users set role = case id when ${admin.id} then 'admin' else 'user' end`
    }
  })

  it.each([
    [{ plan: 'gold' }, [{ field: 'plan', message: 'must be free, pro or business' }]],
    [{ plan: '' }, [{ field: 'plan', message: 'must be free, pro or business' }]],
    [{ role: 'root' }, [{ field: 'role', message: 'must be user or admin' }]],
    [{ status: 'blocked' }, [{ field: 'status', message: 'must be active or suspended' }]],
    [
      { plan: 'Pro', role: 'Admin' },
      [
        { field: 'plan', message: 'must be free, pro or business' },
        { field: 'role', message: 'must be user or admin' },
      ],
    ],
    [
      { updateMask: ['email'] },
      [{ field: 'update_mask', message: '"email" cannot be updated; name some of plan, role, status' }],
    ],
  ])('refuses %j', async (fields, faults) => {
    const { id } = await auth.register()
    expect(await refused(rest.adminUpdateUser({ id, ...fields }))).toEqual(invalid(...faults))
  })

  it.each([
    '',
    'user_',
    'user_01h00000000000000000000000',
    'key_01h00000000000000000000000',
    'user_\0',
    "' or 1=1",
  ])('finds no account by %j', async (id) => {
    expect(await refused(rest.adminUpdateUser({ id, plan: 'pro' }))).toEqual({
      code: 'NOT_FOUND',
      reason: 'USER_NOT_FOUND',
      message: 'There is no such account',
      metadata: {},
      http: 404,
      body: { error: 'not_found', message: 'There is no such account', code: 4004 },
    })
  })

  it('needs users:manage: nobody promotes themselves', async () => {
    const { id, token, apiKey } = await auth.register()
    for (const bearer of [token, apiKey])
      await expect(auth.rest({ bearer }).adminUpdateUser({ id, role: 'admin' })).rejects.toMatchObject({
        checked: scopeMissing('users:manage'),
      })
    expect(await roleOf(id)).toBe('user')
  })
})
