import { connectPath } from '@instatunnel/kit/connect-request'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { unauthorized } from '../../test/refusals.ts'
import { newPassword, type Person, startAuth } from '../../test/start-auth.ts'

/** AdminService.UpdateUser, as far as it suspends. */

const auth = await startAuth()
const other = await startAuth(auth.environment)
afterAll(async () => {
  await other.close()
  await auth.close()
})
const admin = await auth.registerAdmin()
const rest = auth.rest({ bearer: admin.token })
const suspend = (id: string) => rest.adminUpdateUser({ id, status: 'suspended' })
const restore = (id: string) => rest.adminUpdateUser({ id, status: 'active' })

/** Whether a credential opens anything, on either replica. */
const open = async (bearer: string) =>
  Promise.all(
    [auth, other].map(async ({ check }) => {
      const checked = await check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer })
      if (!checked.admitted) expect(checked).toEqual(unauthorized)
      return checked.admitted
    }),
  )

/** Somebody with one of each credential, known to both replicas. */
async function somebody() {
  const person = await auth.register()
  const { tunnelId } = auth.neighbours.addTunnel({ userId: person.id })
  other.neighbours.addTunnel({ userId: person.id, tunnelId })
  const { secret, key } = auth.neighbours.addKey({ userId: person.id })
  other.neighbours.restoreKey(secret, key)
  const token = auth.neighbours.addTunnelToken({ tunnelId, userId: person.id })
  const connect = () => auth.check(connectPath(tunnelId), { bearer: token, access: 'connect' })
  const session = String(decodeJwt(person.token).sid)
  for (const bearer of [person.token, secret]) expect(await open(bearer)).toEqual([true, true])
  expect(await connect()).toMatchObject({ admitted: true })
  return { person, secret, key, tunnelId, connect, session }
}

const suspended = {
  code: 'PERMISSION_DENIED',
  reason: 'ACCOUNT_SUSPENDED',
  message: 'This account is suspended; ask an administrator',
  metadata: {},
  http: 403,
  body: { error: 'forbidden', message: 'This account is suspended; ask an administrator', code: 4003 },
}
const loginAs = ({ email }: Person, password: string) => auth.rest().login({ email, password })

describe('an account that is suspended', () => {
  it('is refused with every credential on every replica, as soon as that is answered', async () => {
    const { person, secret, connect } = await somebody()
    expect(await suspend(person.id)).toMatchObject({ id: person.id, status: 'suspended' })
    for (const bearer of [person.token, person.apiKey, secret])
      expect(await open(bearer)).toEqual([false, false])
    expect(await connect()).toEqual(unauthorized)
    expect((await rest.listUsers({ email: person.email })).users).toMatchObject([{ status: 'suspended' }])
  })

  it('is told so at login, after the right password and not before', async () => {
    const { person } = await somebody()
    await suspend(person.id)
    expect(await refused(loginAs(person, person.password))).toEqual(suspended)
    const wrong = await refused(loginAs(person, newPassword()))
    expect(wrong).toMatchObject({ reason: 'LOGIN_FAILED', http: 401 })
    expect(wrong).toEqual(await refused(loginAs({ ...person, email: `no.${person.email}` }, newPassword())))
    expect(
      await auth.sql`select from sessions where user_id = ${person.id} and ended_at is null`,
    ).toHaveLength(0)
  })

  it('may do again what it could once it is restored; its sessions stay ended', async () => {
    const { person, secret, connect } = await somebody()
    await suspend(person.id)
    expect(await open(secret)).toEqual([false, false])
    expect(await restore(person.id)).toMatchObject({ status: 'active' })
    expect(await open(secret)).toEqual([true, true])
    expect(await connect()).toMatchObject({ admitted: true })
    expect(await open(person.token)).toEqual([false, false])
    const { token } = await loginAs(person, person.password)
    expect(await open(token)).toEqual([true, true])
  })

  it('has its live connections ended, and says why', async () => {
    const { person, key, session, tunnelId } = await somebody()
    await suspend(person.id)
    for (const [credentialType, credentialId] of [
      ['api_key', key.id],
      ['session', session],
      ['tunnel_token', tunnelId],
    ] as const)
      expect(await auth.internal.checkConnection({ tunnelId, credentialType, credentialId })).toMatchObject({
        reason: 'account_suspended',
      })
  })

  it('has keys that are DISABLED to whoever verifies them, and explained so', async () => {
    const { person, key, secret } = await somebody()
    await suspend(person.id)
    expect(await auth.internal.verifyKey({ digest: digestOf(secret) })).toEqual({ code: 'DISABLED' })
    const request = { keyId: key.id, method: 'GET', path: '/v1/tunnels' }
    const { checks } = await auth.internal.explainKey(request)
    expect(checks.filter(({ passed }) => !passed)).toEqual([
      { name: 'enabled', passed: false, message: "The key's account is suspended" },
    ])
  })

  it('gets no session from a login that was under way', async () => {
    for (let round = 0; round < 5; round++) {
      const { person } = await somebody()
      const logins = [0, 1, 2].map(() => loginAs(person, person.password).catch(() => undefined))
      const [opened] = await Promise.all([Promise.all(logins), suspend(person.id)])
      for (const session of opened) if (session) expect(await open(session.token)).toEqual([false, false])
    }
  })
})

describe('nobody suspends', () => {
  it('themselves', async () => {
    const deputy = await auth.registerAdmin()
    const own = auth.rest({ bearer: deputy.token })
    expect(await refused(own.adminUpdateUser({ id: deputy.id, status: 'suspended' }))).toMatchObject({
      reason: 'OWN_ACCOUNT',
      http: 403,
      body: { error: 'forbidden', message: 'You cannot suspend your own account; another admin can' },
    })
    expect(await own.adminUpdateUser({ id: deputy.id, status: 'active' })).toMatchObject({ status: 'active' })
  })

  it('the last admin who is active: with a suspended one beside, none is demoted', async () => {
    await auth.sql`update users set role = 'user' where id <> ${admin.id}`
    const deputy = await auth.registerAdmin()
    await suspend(deputy.id)
    expect(await refused(rest.adminUpdateUser({ id: admin.id, role: 'user' }))).toMatchObject({
      reason: 'LAST_ADMIN',
      fields: [{ field: 'role', message: 'is the last admin' }],
    })
    await restore(deputy.id)
    await auth.sql`update users set role = 'user' where id = ${deputy.id}`
  })

  it('one of two admins who suspend one another at once', async () => {
    for (let round = 0; round < 5; round++) {
      const one = await auth.registerAdmin()
      const two = await auth.registerAdmin()
      await auth.sql`update users set role = 'user' where id not in (${one.id}, ${two.id})`
      const by = (who: Person, id: string) =>
        auth.rest({ bearer: who.token }).adminUpdateUser({ id, status: 'suspended' })
      await Promise.allSettled([by(one, two.id), by(two, one.id)])
      const left = await auth.sql`select id from users where role = 'admin' and status = 'active'`
      expect(left).toHaveLength(1)
    }
    await auth.sql`update users set role = 'admin' where id = ${admin.id}`
  })
})
