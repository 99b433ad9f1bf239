import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { invalid, scopeMissing } from '../../test/refusals.ts'
import { newEmail, newPassword, startAuth } from '../../test/start-auth.ts'

/** Invitations, from the making to the accepting, and who registers without one. */

const argon2 = vi.hoisted(() => ({ hashed: 0 }))
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>()
  return {
    ...real,
    hash: (...args: Parameters<typeof real.hash>) => {
      argon2.hashed++
      return real.hash(...args)
    },
  }
})

const HOUR = 60 * 60_000
const clock = { now: new Date() }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const settings = {
  INSTATUNNEL_ADMIN_EMAIL: 'root@example.com',
  INSTATUNNEL_ADMIN_PASSWORD: 'a long password',
}
// Where nothing is set, registration is closed on a domain that strangers reach.
const auth = await startAuth({ DOMAIN: 'tunnels.example.com', ...settings }, { now: () => clock.now })
afterAll(() => auth.close())
const rootOf = { email: settings.INSTATUNNEL_ADMIN_EMAIL, password: settings.INSTATUNNEL_ADMIN_PASSWORD }
const root = async () => auth.rest({ bearer: (await auth.login(rootOf)).token })
const rest = await root()

const register = (email: string, invitation?: string) =>
  auth.rest().register({ email, password: newPassword(), ...(invitation ? { invitation } : {}) })

const forbidden = (reason: string, message: string, fields?: object[]) => ({
  code: 'PERMISSION_DENIED',
  reason,
  message,
  metadata: {},
  ...(fields ? { fields } : {}),
  http: 403,
  body: { error: 'forbidden', message, code: 4003, ...(fields ? { fields } : {}) },
})
const closed = forbidden(
  'REGISTRATION_CLOSED',
  'Registration is closed here; ask an administrator for an invitation',
)
const invitationInvalid = forbidden(
  'INVITATION_INVALID',
  'This invitation is not for this e-mail, has expired, was used or revoked; ask an administrator for another',
  [{ field: 'invitation', message: 'is not good for this e-mail' }],
)

describe('while registration is closed', () => {
  it('refuses all alike who bring no invitation, before it looks at e-mail or hashes a password', async () => {
    const { hashed } = argon2
    for (const email of [newEmail(), rootOf.email]) expect(await refused(register(email))).toEqual(closed)
    expect(argon2.hashed).toBe(hashed)
  })

  it('counts nothing against an e-mail that is refused, and keeps nobody out who is invited', async () => {
    const strict = await startAuth({ REGISTRATION: 'closed', LIMIT_AUTH_PER_MINUTE: '3', ...settings })
    try {
      for (let n = 0; n < 5; n++)
        await strict
          .rest({ address: `192.0.2.${n}` })
          .register({ email: rootOf.email, password: newPassword() })
          .catch(() => {})
      expect(await strict.rest({ address: '192.0.2.9' }).login(rootOf)).toMatchObject({
        user: { role: 'admin' },
      })
      const email = newEmail()
      const { token: bearer } = await strict.rest({ address: '192.0.2.9' }).login(rootOf)
      const { token: invitation } = await strict.rest({ bearer }).createInvitation({ email })
      const password = newPassword()
      let reason = ''
      for (let n = 10; reason !== 'RATE_LIMITED'; n++)
        reason = (await refused(strict.rest({ address: `192.0.2.${n}` }).login({ email, password }))).reason
      const invited = strict.rest({ address: '198.51.100.1' })
      expect((await invited.register({ email, password, invitation })).user?.email).toBe(email)
    } finally {
      await strict.close()
    }
  })

  it('lets in one who is invited, once, as what the invitation says', async () => {
    const email = newEmail()
    const { invitation, token, url } = await rest.createInvitation({ email, plan: 'pro', role: 'admin' })
    expect(url).toBe(`http://localhost:8080/invite#${token}`)
    expect(invitation).toEqual({
      id: expect.stringMatching(/^inv_/),
      email,
      plan: 'pro',
      role: 'admin',
      invitedBy: expect.stringMatching(/^user_/),
      createdAt: clock.now,
      expiresAt: new Date(clock.now.getTime() + 72 * HOUR),
    })
    const { user } = await register(email.toUpperCase(), token)
    expect(user).toMatchObject({ plan: 'pro', role: 'admin', status: 'active' })
    expect(await refused(register(email, token))).toEqual(invitationInvalid)
    expect((await rest.listInvitations()).invitations).toEqual([])
  })

  it('makes a user on plan free where nothing else is said', async () => {
    const email = newEmail()
    const { token } = await rest.createInvitation({ email })
    expect((await register(email, token)).user).toMatchObject({ plan: 'free', role: 'user' })
  })

  it('admits one of many who accept at once', async () => {
    const email = newEmail()
    const { token } = await rest.createInvitation({ email })
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map(() => register(email, token)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('binds it to its e-mail, and hashes no password for another', async () => {
    const email = newEmail()
    const { token } = await rest.createInvitation({ email })
    const { hashed } = argon2
    for (const other of [newEmail(), `x${email}`, email.replace('@', '+x@')])
      expect(await refused(register(other, token))).toEqual(invitationInvalid)
    for (const wrong of ['iti_', 'x', token.toLowerCase(), `${token}x`])
      expect(await refused(register(email, wrong))).toEqual(invitationInvalid)
    expect(argon2.hashed).toBe(hashed)
    expect((await register(email, token)).user).toMatchObject({ email })
  })

  it('is over after 72 hours, once it is revoked, and once there is a newer one', async () => {
    const admin = await root()
    const [late, gone, again] = [newEmail(), newEmail(), newEmail()]
    const [one, two, three] = await Promise.all(
      [late, gone, again].map((email) => admin.createInvitation({ email })),
    )
    const newer = await admin.createInvitation({ email: again.toUpperCase() })
    expect(await refused(register(again, three?.token))).toEqual(invitationInvalid)
    expect((await register(again, newer.token)).user).toMatchObject({ email: again })
    const id = two?.invitation?.id as string
    expect(await admin.deleteInvitation({ id })).toEqual({ success: true })
    expect(await refused(register(gone, two?.token))).toEqual(invitationInvalid)
    expect(await refused(admin.deleteInvitation({ id }))).toMatchObject({
      reason: 'INVITATION_NOT_FOUND',
      http: 404,
    })
    pass(72 * HOUR)
    expect(await refused(register(late, one?.token))).toEqual(invitationInvalid)
    expect((await (await root()).listInvitations()).invitations).toEqual([])
  })

  it.each([
    [{ role: 'user' }, { role: 'admin' }],
    [{ status: 'suspended' }, { status: 'active' }],
  ])('is over with the admin who made it, for good: %j, %j', async (lost, again) => {
    const admin = await root()
    const deputy = newEmail()
    const { token } = await admin.createInvitation({ email: deputy, role: 'admin' })
    const { user, token: session } = await register(deputy, token)
    const id = user?.id as string
    const email = newEmail()
    const made = await auth.rest({ bearer: session }).createInvitation({ email, role: 'admin' })
    await admin.adminUpdateUser({ id, ...lost })
    expect(await refused(register(email, made.token))).toEqual(invitationInvalid)
    expect((await admin.listInvitations()).invitations).not.toContainEqual(made.invitation)
    await admin.adminUpdateUser({ id, ...again })
    expect(await refused(register(email, made.token))).toEqual(invitationInvalid)
  })
})

describe('CreateInvitation', () => {
  it('keeps the token to itself: not in the database, the log or a list', async () => {
    const { invitation, token } = await (await root()).createInvitation({ email: newEmail() })
    const rows = await auth.sql`select * from invitations`
    const hex = Buffer.from(token).toString('hex')
    const kept = [
      JSON.stringify(rows),
      rows.map(({ hash }) => hash.toString('hex')).join(),
      auth.logged.join(),
    ]
    kept.push(JSON.stringify(await auth.sql`select data from outbox`))
    for (const text of kept) for (const secret of [token, hex]) expect(text).not.toContain(secret)
    const { invitations } = await (await root()).listInvitations()
    expect(invitations).toContainEqual(invitation)
  })

  it('pages the list, newest first', async () => {
    pass(1)
    const admin = await root()
    const made = []
    for (let n = 0; n < 3; n++, pass(1))
      made.unshift((await admin.createInvitation({ email: newEmail() })).invitation)
    const first = await admin.listInvitations({ pageSize: 2 })
    expect(first.invitations).toEqual(made.slice(0, 2))
    const { invitations } = await admin.listInvitations({ pageSize: 1, pageToken: first.nextPageToken })
    expect(invitations).toEqual(made.slice(2))
  })

  it('refuses an e-mail that has an account', async () => {
    expect(
      await refused((await root()).createInvitation({ email: rootOf.email.toUpperCase() })),
    ).toMatchObject({
      reason: 'EMAIL_TAKEN',
      http: 409,
    })
  })

  it.each([
    [{ email: 'x' }, { field: 'email', message: 'must be an e-mail address' }],
    [
      { email: 'a@b.c', plan: 'gold' },
      { field: 'plan', message: 'must be free, pro or business' },
    ],
    [
      { email: 'a@b.c', role: 'root' },
      { field: 'role', message: 'must be user or admin' },
    ],
  ])('refuses %j', async (fields, fault) => {
    expect(await refused((await root()).createInvitation(fields))).toEqual(invalid(fault))
  })

  it.each([
    { allowedIps: ['0.0.0.0/0'] },
    { allowedSubdomains: ['docs-*'] },
    { expiresAt: new Date(clock.now.getTime() + 1000 * HOUR) },
  ])('is none of a key that is held to %j: an account is held to nothing', async (bound) => {
    const { user } = await auth.login(rootOf)
    const permissions = ['*']
    const { secret } = auth.neighbours.addKey({ userId: user?.id as string, permissions, ...bound })
    const key = auth.rest({ bearer: secret })
    for (const more of [{}, { role: 'admin' }, { plan: 'pro' }])
      expect(await refused(key.createInvitation({ email: newEmail(), ...more }))).toMatchObject({
        reason: 'KEY_BOUNDED',
        http: 403,
      })
  })

  it('invites no admin by a key that lacks what admins may do', async () => {
    const { user } = await auth.login(rootOf)
    const permissions = ['users:manage']
    const { secret } = auth.neighbours.addKey({ userId: user?.id as string, permissions })
    const key = auth.rest({ bearer: secret })
    expect(await refused(key.createInvitation({ email: newEmail(), role: 'admin' }))).toMatchObject({
      reason: 'SCOPE_MISSING',
      body: { required_scope: 'account:read' },
    })
    expect(await key.createInvitation({ email: newEmail() })).toMatchObject({ invitation: { role: 'user' } })
  })

  it('needs users:manage, as listing and revoking do', async () => {
    const email = newEmail()
    const { token } = await (await root()).createInvitation({ email })
    const bearer = (await register(email, token)).token
    const calls = auth.rest({ bearer })
    for (const call of [
      () => calls.createInvitation({ email: newEmail() }),
      () => calls.listInvitations(),
      () => calls.deleteInvitation({ id: 'inv_1' }),
    ])
      await expect(call()).rejects.toMatchObject({ checked: scopeMissing('users:manage') })
  })
})

describe('where registration is open to a domain', () => {
  it('registers those at the domain, and others by invitation only', async () => {
    const some = await startAuth({ REGISTRATION: 'domain:example.com', ...settings })
    try {
      const registerAt = (email: string, invitation?: string) =>
        some.rest().register({ email, password: newPassword(), ...(invitation ? { invitation } : {}) })
      expect((await registerAt('ada@Example.com')).user).toMatchObject({ email: 'ada@Example.com' })
      expect(await refused(registerAt('eve@example.org'))).toMatchObject({ reason: 'REGISTRATION_CLOSED' })
      const { token: bearer } = await some.login(rootOf)
      const { token } = await some.rest({ bearer }).createInvitation({ email: 'eve@example.org' })
      expect((await registerAt('eve@example.org', token)).user).toMatchObject({ role: 'user' })
    } finally {
      await some.close()
    }
  })
})
