import { anId, aTime, expectJsonHeaders } from '@instatunnel/test/shapes'
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

describe('administration', () => {
  it('lists accounts, newest first, or the one with an e-mail', async () => {
    const { user } = await register('Linus@Example.com')
    const listed = await stack.call('GET', '/v1/admin/users', { token })
    expect(listed.status).toBe(200)
    expectJsonHeaders(listed)
    expect(listed.body.users[0]).toEqual(user)
    expect(listed.body.users.at(-1)).toEqual({
      id: anId('user_'),
      email: admin.email,
      name: '',
      username: 'root',
      plan: 'business',
      role: 'admin',
      created_at: aTime,
    })
    const found = await stack.call('GET', '/v1/admin/users?email=linus@example.com', { token })
    expect(found.body).toEqual({ users: [user], next_page_token: '' })
  })

  it('sets a plan, in force with the next call', async () => {
    const { user, api_key: key } = await register('plan@example.com')
    const create = () => stack.call('POST', '/v1/tunnels', { token: key, body: { name: 'T', local_port: 1 } })
    for (let i = 0; i < 3; i++) await create()
    expect((await create()).status).toBe(403)
    const answer = await stack.call('PATCH', `/v1/admin/users/${user.id}`, { token, body: { plan: 'pro' } })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({ ...user, plan: 'pro' })
    expect((await create()).status).toBe(200)
  })

  it('sets a role: what an admin could make, one who is no admin any more cannot use', async () => {
    const { user, token: session } = await register('deputy@example.com')
    await stack.call('PATCH', `/v1/admin/users/${user.id}`, { token, body: { role: 'admin' } })
    const body = { name: 'Root', permissions: ['users:manage'] }
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token: session, body })).body
    expect((await stack.call('GET', '/v1/admin/users', { token: key })).status).toBe(200)
    await stack.call('PATCH', `/v1/admin/users/${user.id}`, { token, body: { role: 'user' } })
    const refused = await stack.call('GET', '/v1/admin/users', { token: key })
    expect(refused.status).toBe(403)
    expect(refused.body).toMatchObject({ error: 'forbidden', required_scope: 'users:manage' })
  })

  it('refuses users, unknown accounts, unknown plans and the last admin’s demotion', async () => {
    const { token: session } = await register('nobody@example.com')
    expect((await stack.call('GET', '/v1/admin/users', { token: session })).status).toBe(403)
    const unknown = await stack.call('PATCH', '/v1/admin/users/user_x', { token, body: { plan: 'pro' } })
    expect(unknown.status).toBe(404)
    expect(unknown.body).toEqual({ error: 'not_found', message: 'There is no such account', code: 4004 })
    const { users } = (await stack.call('GET', `/v1/admin/users?email=${admin.email}`, { token })).body
    const path = `/v1/admin/users/${users[0].id}`
    const plan = await stack.call('PATCH', path, { token, body: { plan: 'gold' } })
    expect(plan.status).toBe(400)
    expect(plan.body).toEqual({
      error: 'validation_error',
      message: 'plan: must be free, pro or business',
      code: 4000,
      fields: [{ field: 'plan', message: 'must be free, pro or business' }],
    })
    const last = await stack.call('PATCH', path, { token, body: { role: 'user' } })
    expect(last.status).toBe(409)
    expect(last.body).toEqual({
      error: 'conflict',
      message: 'This is the last admin; make another one first',
      code: 4010,
      fields: [{ field: 'role', message: 'is the last admin' }],
    })
  })
})
