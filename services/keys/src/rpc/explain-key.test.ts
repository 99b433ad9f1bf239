import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made, notKeyIds } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const clock = { now: new Date() }
const keys = await startKeys({}, { now: () => clock.now })
afterAll(() => keys.close())

const route = { name: 'route', passed: true, message: 'GET /v1/tunnels is TunnelService.ListTunnels' }
const scope = { name: 'scope', passed: false, message: 'The key lacks tunnels:read' }
const remaining = { name: 'remaining', passed: false, message: 'No use remains' }
const request = { method: 'GET', path: '/v1/tunnels' }
beforeEach(() => {
  keys.auth.code = 'VALID'
  keys.auth.checks = [route]
  keys.auth.explained.length = 0
})

describe('ExplainKey', () => {
  it('has auth explain a key of the caller, and tells the first check that it would not pass', async () => {
    const user = keys.user()
    const { id } = await made(user)
    expect(await user.explainKey({ id, ...request, address: '192.0.2.7' })).toEqual({
      allowed: true,
      stoppedAt: undefined,
      checks: [route],
    })
    expect(keys.auth.explained).toEqual([{ keyId: id, ...request, address: '192.0.2.7' }])
    keys.auth.checks = [route, scope, remaining]
    expect(await user.explainKey({ id, method: 'get', path: '/v1/tunnels?page_size=3' })).toEqual({
      allowed: false,
      stoppedAt: 'scope',
      checks: [route, scope, remaining],
    })
    expect(keys.auth.explained[1]).toEqual({
      keyId: id,
      method: 'GET',
      path: '/v1/tunnels?page_size=3',
      address: undefined,
    })
  })

  it('stops at a key that was revoked, for as long as it may be seen, and asks auth nothing', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    const message = `The key was revoked at ${clock.now.toISOString()}`
    expect(await user.explainKey({ id, ...request })).toEqual({
      allowed: false,
      stoppedAt: 'key',
      checks: [{ name: 'key', passed: false, message }],
    })
    expect(keys.auth.explained).toEqual([])
    clock.now = new Date(clock.now.getTime() + 30 * 24 * 60 * 60 * 1000)
    expect(await refused(user.explainKey({ id, ...request }))).toEqual(keyNotFound)
  })

  it('stops at a key whose owner is no more', async () => {
    const user = keys.user()
    const { id } = await made(user)
    keys.auth.checks = undefined
    expect(await user.explainKey({ id, ...request })).toMatchObject({
      allowed: false,
      stoppedAt: 'key',
      checks: [{ message: 'The key belongs to nobody any more' }],
    })
  })

  it("finds no key that is another's, but for admin:read", async () => {
    const { id } = await made(keys.user())
    expect(await refused(keys.user().explainKey({ id, ...request }))).toEqual(keyNotFound)
    const admin = keys.user({ scopes: ['keys:manage', 'admin:read'] })
    expect(await admin.explainKey({ id, ...request })).toMatchObject({ allowed: true })
    expect(keys.auth.explained).toHaveLength(1)
  })

  it('finds none by what is no id', async () => {
    const user = keys.user()
    for (const id of notKeyIds)
      expect(await refused(user.explainKey({ id, ...request }))).toEqual(keyNotFound)
  })

  const METHOD = 'must be a method of HTTP, like GET'
  const PATH = 'must begin with a slash and hold printable ASCII only'
  const ODD = 'must not hold empty or dot segments, backslashes or encoded separators'
  const ADDRESS = 'must be an IPv4 or IPv6 address'
  it.each([
    { fields: { method: '' }, field: 'method', message: METHOD },
    { fields: { method: 'GET /v1' }, field: 'method', message: METHOD },
    { fields: { path: '' }, field: 'path', message: PATH },
    { fields: { path: 'v1/tunnels' }, field: 'path', message: PATH },
    { fields: { path: '/v1/tun nels' }, field: 'path', message: PATH },
    { fields: { path: '/v1/é' }, field: 'path', message: PATH },
    { fields: { path: `/${'x'.repeat(2048)}` }, field: 'path', message: 'must be at most 2048 characters' },
    { fields: { path: '/v1//tunnels' }, field: 'path', message: ODD },
    { fields: { path: '/v1/../v1/tunnels' }, field: 'path', message: ODD },
    { fields: { path: '/v1/%2e' }, field: 'path', message: ODD },
    { fields: { path: '/v1%2Ftunnels' }, field: 'path', message: ODD },
    { fields: { path: '/v1\\tunnels' }, field: 'path', message: ODD },
    { fields: { address: '192.0.2.0/24' }, field: 'address', message: ADDRESS },
    { fields: { address: 'fe80::1%eth0' }, field: 'address', message: ADDRESS },
  ])('refuses $fields', async ({ fields, field, message }) => {
    const user = keys.user()
    const { id } = await made(user)
    expect(await refused(user.explainKey({ id, ...request, ...fields }))).toEqual(invalid(field, message))
    expect(keys.auth.explained).toEqual([])
  })

  it('is unavailable while auth is away', async () => {
    const user = keys.user()
    const { id } = await made(user)
    keys.auth.code = undefined
    expect(await refused(user.explainKey({ id, ...request }))).toMatchObject({
      code: 'UNAVAILABLE',
      http: 503,
    })
  })
})
