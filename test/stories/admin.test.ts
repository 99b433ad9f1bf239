import { accountsOf } from '@instatunnel/test/accounts'
import { aField, expectCountedError, expectScopeMissing, expectUnauthorized } from '@instatunnel/test/errors'
import { anId, aTime, expectAnswer } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What admins may do, through the front door. */

const admin = { email: 'root@example.com', password: 'a long admin password' }
let stack: TestStack
let token: string

beforeAll(async () => {
  const settings = { INSTATUNNEL_ADMIN_EMAIL: admin.email, INSTATUNNEL_ADMIN_PASSWORD: admin.password }
  stack = await startTestStack({ settings })
  token = (await stack.call('POST', '/v1/auth/login', { body: admin })).body.token
})
afterAll(() => stack.stop())

const register = async (email: string) =>
  (await stack.call('POST', '/v1/auth/register', { body: { email, password: 'correct horse battery' } })).body

const list = (query = '') => stack.call('GET', `/v1/admin/users${query}`, { token })
const patch = (id: string, body: object) => stack.call('PATCH', `/v1/admin/users/${id}`, { token, body })

const shownAdmin = {
  id: anId('user_'),
  email: admin.email,
  name: '',
  username: 'root',
  plan: 'business',
  role: 'admin',
  status: 'active',
  created_at: aTime,
}

describe('administration', () => {
  it('lists accounts, newest first, or the one with an e-mail', async () => {
    const { user: first } = await register('ada@example.com')
    const { user: last } = await register('Linus@Example.com')
    const shown = { ...shownAdmin, email: 'Linus@Example.com', username: 'linus', plan: 'free', role: 'user' }
    expect(last).toEqual(shown)
    expectAnswer(await list(), { users: [last, first, shownAdmin], next_page_token: '' })
    expectAnswer(await list('?email=linus@example.com'), { users: [last], next_page_token: '' })
    expectAnswer(await list('?email=nobody@example.com'), { users: [], next_page_token: '' })

    const page = await list('?page_size=2')
    const pageToken = page.body.next_page_token
    expectAnswer(page, { users: [last, first], next_page_token: expect.stringMatching(/^[\w-]+$/) })
    const rest = await list(`?page_size=2&page_token=${pageToken}`)
    expectAnswer(rest, { users: [shownAdmin], next_page_token: '' })
    const fault = aField('page_token', 'must be the next_page_token of the page before')
    expectCountedError(await list('?page_token=x'), 'validation_error', fault)
  })

  it('sets a plan, in force with the next call', async () => {
    const { user, api_key: key } = await register('plan@example.com')
    const create = () => stack.call('POST', '/v1/tunnels', { token: key, body: { name: 'T', local_port: 1 } })
    for (let i = 0; i < 3; i++) await create()
    expect((await create()).status).toBe(403)
    expectAnswer(await patch(user.id, { plan: 'pro' }), { ...user, plan: 'pro' })
    expect((await create()).status).toBe(200)
  })

  it('sets exactly what update_mask names, absent ones back to free and user', async () => {
    const { user } = await register('masked@example.com')
    expectAnswer(await patch(user.id, { plan: 'pro', role: 'admin' }), {
      ...user,
      plan: 'pro',
      role: 'admin',
    })
    expectAnswer(await patch(user.id, { plan: 'business', update_mask: 'role' }), { ...user, plan: 'pro' })
    const fault = aField('update_mask', '"email" cannot be updated; name some of plan, role, status')
    expectCountedError(await patch(user.id, { update_mask: 'email' }), 'validation_error', fault)
  })

  it('sets a role: what an admin could make, one who is no admin any more cannot use', async () => {
    const { user, token: session } = await register('deputy@example.com')
    expectAnswer(await patch(user.id, { role: 'admin' }), { ...user, role: 'admin' })
    const body = { name: 'Root', permissions: ['users:manage'] }
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token: session, body })).body
    expect((await stack.call('GET', '/v1/admin/users', { token: key })).status).toBe(200)
    expectAnswer(await patch(user.id, { role: 'user' }), user)
    expectScopeMissing(await stack.call('GET', '/v1/admin/users', { token: key }), 'users:manage')
  })

  it('suspends an account and restores it: nothing of it works meanwhile, and login says so', async () => {
    const email = 'suspended@example.com'
    const { user, token: session, api_key: sessionKey } = await register(email)
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token: session, body: { name: 'CI' } })).body
    const login = (password: string) => stack.call('POST', '/v1/auth/login', { body: { email, password } })
    expectAnswer(await patch(user.id, { status: 'suspended' }), { ...user, status: 'suspended' })
    expectAnswer(await list(`?email=${email}`), {
      users: [{ ...user, status: 'suspended' }],
      next_page_token: '',
    })
    for (const credential of [session, sessionKey, key])
      expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', { token: credential }))
    expectCountedError(await login('correct horse battery'), 'forbidden', {
      message: 'This account is suspended; ask an administrator',
    })
    expectCountedError(await login('wrong horse battery'), 'unauthorized', {
      message: 'The e-mail or the password is not right',
    })
    const verified = await stack.call('POST', '/v1/auth/keys/verify', { token, body: { key } })
    expect(verified.body).toMatchObject({ valid: false, code: 'DISABLED' })
    expectAnswer(await patch(user.id, { status: 'active' }), user)
    expect((await stack.call('GET', '/v1/auth/whoami', { token: key })).status).toBe(200)
    expectUnauthorized(await stack.call('GET', '/v1/auth/whoami', { token: session }))
    expect((await login('correct horse battery')).status).toBe(200)
  })

  it("lists an account's keys and sessions, and ends all of them", async () => {
    const email = 'contained@example.com'
    const { user, token: session, api_key: sessionKey } = await register(email)
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token: session, body: { name: 'CI' } })).body
    const works = async (credential: string) =>
      (await stack.call('GET', '/v1/auth/whoami', { token: credential })).status === 200
    const keysPath = `/v1/admin/users/${user.id}/keys`
    const sessionsPath = `/v1/admin/users/${user.id}/sessions`
    const call = (method: string, path: string) => stack.call(method, path, { token })

    const { keys } = (await call('GET', keysPath)).body
    expect(keys.map(({ name, user_id }: { name: string; user_id: string }) => [name, user_id])).toEqual([
      ['CI', user.id],
      [expect.any(String), user.id],
    ])
    const { sessions } = (await stack.call('GET', '/v1/auth/sessions', { token: session })).body
    expectAnswer(await call('GET', sessionsPath), {
      sessions: [{ ...sessions[0], current: false }],
      next_page_token: '',
    })

    const { id, name, token: before } = await accountsOf(stack.call).tunnel(session)
    expectAnswer(await call('DELETE', `${keysPath}?reason=leaked&regenerate=true`), {
      success: true,
      keys_revoked: 2,
      replicas_acked: 1,
      replicas_total: 1,
      tunnels: [{ id, name }],
      tunnels_known: true,
      tokens_regenerated: true,
    })
    const tunnel = (await stack.call('GET', `/v1/tunnels/${id}`, { token: session })).body
    expect(tunnel.token).not.toBe(before)
    for (const each of [key, sessionKey]) expect(await works(each)).toBe(false)
    expect(await works(session)).toBe(true)
    expectAnswer(await call('GET', keysPath), { keys: [], next_page_token: '' })
    expect((await call('GET', `${keysPath}?state=revoked`)).body.keys).toHaveLength(2)

    expectAnswer(await call('DELETE', sessionsPath), { success: true, sessions_ended: 1 })
    expect(await works(session)).toBe(false)
    expectAnswer(await call('DELETE', sessionsPath), { success: true, sessions_ended: 0 })
    for (const path of ['keys', 'sessions'])
      for (const method of ['GET', 'DELETE'])
        expectCountedError(await call(method, `/v1/admin/users/user_x/${path}`), 'not_found', {
          message: 'There is no such account',
        })
  })

  it('refuses to suspend oneself', async () => {
    const [{ id }] = (await list(`?email=${admin.email}`)).body.users
    expectCountedError(await patch(id, { status: 'suspended' }), 'forbidden', {
      message: 'You cannot suspend your own account; another admin can',
      fields: [{ field: 'status', message: 'cannot be suspended for your own account' }],
    })
  })

  it('is nothing for users, nor for those without a credential', async () => {
    const { user, token: session } = await register('nobody@example.com')
    const calls = [
      ['GET', '/v1/admin/users'],
      ['PATCH', `/v1/admin/users/${user.id}`],
      ['GET', `/v1/admin/users/${user.id}/keys`],
      ['DELETE', `/v1/admin/users/${user.id}/keys`],
      ['GET', `/v1/admin/users/${user.id}/sessions`],
      ['DELETE', `/v1/admin/users/${user.id}/sessions`],
      ['GET', '/v1/admin/invitations'],
      ['POST', '/v1/admin/invitations'],
      ['DELETE', '/v1/admin/invitations/inv_1'],
    ] as const
    for (const [method, path] of calls) {
      expectScopeMissing(await stack.call(method, path, { token: session }), 'users:manage')
      expectUnauthorized(await stack.call(method, path))
    }
  })

  it('refuses unknown accounts, unknown plans and roles, and the last admin’s demotion', async () => {
    const unknown = await patch('user_x', { plan: 'pro' })
    expectCountedError(unknown, 'not_found', { message: 'There is no such account' })
    const { users } = (await list(`?email=${admin.email}`)).body
    const [{ id }] = users
    const plan = aField('plan', 'must be free, pro or business')
    expectCountedError(await patch(id, { plan: 'gold' }), 'validation_error', plan)
    const role = aField('role', 'must be user or admin')
    expectCountedError(await patch(id, { role: 'root' }), 'validation_error', role)
    expectCountedError(await patch(id, { role: 'user' }), 'conflict', {
      message: 'This is the last admin; make another one first',
      fields: [{ field: 'role', message: 'is the last admin' }],
    })
    expectAnswer(await list(`?email=${admin.email}`), { users, next_page_token: '' })
  })
})
