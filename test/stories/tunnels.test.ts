import {
  aField,
  expectCountedError,
  expectError,
  expectScopeMissing,
  expectUnauthorized,
} from '@instatunnel/test/errors'
import { anId, aTime, aTunnelToken, expectAnswer } from '@instatunnel/test/shapes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The calls that InTunnel documents for tunnels, through the front door. */

let stack: TestStack
let token: string
let userId: string

beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack.stop())

let people = 0
async function newcomer() {
  const body = { email: `grace.${++people}@example.com`, password: 'correct horse battery' }
  const answer = await stack.call('POST', '/v1/auth/register', { body })
  token = answer.body.token
  userId = answer.body.user.id
}

const list = (query = '') => stack.call('GET', `/v1/tunnels${query}`, { token })
const get = (id: string) => stack.call('GET', `/v1/tunnels/${id}`, { token })
const post = (body: unknown) => stack.call('POST', '/v1/tunnels', { token, body })
const patch = (id: string, body: object) => stack.call('PATCH', `/v1/tunnels/${id}`, { token, body })
const remove = (id: string) => stack.call('DELETE', `/v1/tunnels/${id}`, { token })
const regenerate = (id: string) => stack.call('POST', `/v1/tunnels/${id}/regenerate-token`, { token })

/** A tunnel that the caller has made. */
const made = async (fields: object = {}) =>
  (await post({ name: 'New Tunnel', local_port: 8080, ...fields })).body.tunnel

/** A key of the caller's that may do this and nothing else. */
const keyFor = async (...permissions: string[]) =>
  (await stack.call('POST', '/v1/auth/keys', { token, body: { name: 'Narrow', permissions } })).body.key

const shownTunnel = (fields: { subdomain: unknown } & Record<string, unknown>) => ({
  id: anId('tun_'),
  name: 'New Tunnel',
  local_port: 8080,
  token: aTunnelToken,
  status: 'inactive',
  domain: 'localhost',
  url: `http://${fields.subdomain}.localhost:${stack.gateway.port}`,
  created_at: aTime,
  updated_at: aTime,
  user_id: userId,
  ephemeral: false,
  ...fields,
})

const notFound = { message: 'Tunnel not found' }
const taken = (name: string) => ({ message: `The subdomain "${name}" is already in use; choose another` })

describe('tunnels', () => {
  it('are made, listed, read and deleted, as InTunnel documents', async () => {
    await newcomer()
    expectAnswer(await list(), { tunnels: [], next_page_token: '' })

    const answer = await post({ name: 'New Tunnel', subdomain: 'NewTunnel', local_port: 8080 })
    expectAnswer(answer, { success: true, tunnel: shownTunnel({ subdomain: 'newtunnel' }) })
    const { tunnel } = answer.body
    expectAnswer(await list(), { tunnels: [tunnel], next_page_token: '' })
    expectAnswer(await get(tunnel.id), tunnel)

    expectAnswer(await remove(tunnel.id), { success: true, message: 'Tunnel deleted' })
    expectCountedError(await get(tunnel.id), 'not_found', notFound)
    expectCountedError(await remove(tunnel.id), 'not_found', notFound)
    expectAnswer(await list(), { tunnels: [], next_page_token: '' })
  })

  it('are made, listed and deleted with the session cookie, as InTunnel documents', async () => {
    await newcomer()
    const cookie = `instatunnel_session=${token}`
    const body = { name: 'New Tunnel', subdomain: 'by-cookie', local_port: 8080 }
    const answer = await stack.call('POST', '/v1/tunnels', { cookie, body })
    expectAnswer(answer, { success: true, tunnel: shownTunnel({ subdomain: 'by-cookie' }) })
    const { tunnel } = answer.body
    expectAnswer(await stack.call('GET', '/v1/tunnels', { cookie }), {
      tunnels: [tunnel],
      next_page_token: '',
    })
    const deleted = await stack.call('DELETE', `/v1/tunnels/${tunnel.id}`, { cookie })
    expectAnswer(deleted, { success: true, message: 'Tunnel deleted' })
  })

  it('get a readable name where none is asked for', async () => {
    await newcomer()
    const answer = await post({ name: 'New Tunnel', local_port: 8080 })
    const { subdomain } = answer.body.tunnel
    expect(subdomain).toMatch(/^[a-z]+-[a-z]+-[a-z0-9]{4}$/)
    expectAnswer(answer, { success: true, tunnel: shownTunnel({ subdomain }) })
  })

  it('have one owner a name, when they are made and when they are changed', async () => {
    await newcomer()
    await made({ subdomain: 'taken' })
    await newcomer()
    const second = await post({ name: 'Second', subdomain: 'Taken', local_port: 1 })
    expectCountedError(second, 'subdomain_taken', taken('taken'))
    const mine = await made()
    expectCountedError(await patch(mine.id, { subdomain: 'taken' }), 'subdomain_taken', taken('taken'))
    expectAnswer(await list(), { tunnels: [mine], next_page_token: '' })
  })

  it('are as many as the plan allows', async () => {
    await newcomer()
    for (let i = 0; i < 3; i++) await made()
    const { body } = await list()
    expectCountedError(await post({ name: 'One more', local_port: 1 }), 'plan_limit', {
      message: 'The free plan allows 3 tunnels at a time; delete one first, or move to a larger plan',
    })
    expectAnswer(await list(), body)
    expect(body.tunnels).toHaveLength(3)
  })

  it('are listed page by page, newest first', async () => {
    await newcomer()
    const [oldest, middle, newest] = [await made(), await made(), await made()]
    const first = await list('?page_size=2')
    const pageToken = first.body.next_page_token
    expectAnswer(first, { tunnels: [newest, middle], next_page_token: expect.stringMatching(/^[\w-]+$/) })
    expectAnswer(await list(`?page_size=2&page_token=${pageToken}`), {
      tunnels: [oldest],
      next_page_token: '',
    })
    const fault = aField('page_token', 'must be the next_page_token of the page before')
    expectCountedError(await list('?page_token=x'), 'validation_error', fault)
  })

  it('name the field that is not acceptable, and nothing is made', async () => {
    await newcomer()
    const port = 'must be from 1 to 65535'
    const label = 'must be 3 to 63 characters of a-z, 0-9 and "-", with no "-" at either end'
    const refused: [object, string, string][] = [
      [{ local_port: 1 }, 'name', 'must be 1 to 100 characters'],
      [{ name: 'A' }, 'local_port', port],
      [{ name: 'A', local_port: 70_000 }, 'local_port', port],
      [{ name: 'A', local_port: 1, subdomain: 'www' }, 'subdomain', 'is reserved; choose another'],
      [{ name: 'A', local_port: 1, subdomain: '-a-' }, 'subdomain', label],
    ]
    for (const [body, field, message] of refused)
      expectCountedError(await post(body), 'validation_error', aField(field, message))

    // What is no JSON of the rpc's message the gateway refuses, before anything is counted.
    const mistyped: [object, string, string][] = [
      [
        { name: 'A', local_port: 'many' },
        'local_port',
        'must be a whole number between -2147483648 and 2147483647',
      ],
      [{ name: ['A'], local_port: 1 }, 'name', 'must not be a list'],
    ]
    for (const [body, field, message] of mistyped)
      expectError(await post(body), 'validation_error', aField(field, message))
    expectAnswer(await list(), { tunnels: [], next_page_token: '' })
  })

  it('are changed by PATCH', async () => {
    await newcomer()
    const tunnel = await made({ subdomain: 'before' })
    const changed = shownTunnel({ id: tunnel.id, token: tunnel.token, subdomain: 'after', local_port: 9090 })
    expectAnswer(await patch(tunnel.id, { subdomain: 'after', localPort: 9090 }), changed)
    const renamed = await patch(tunnel.id, { name: 'Renamed', local_port: 1, update_mask: 'name' })
    expectAnswer(renamed, { ...changed, name: 'Renamed' })
    expectAnswer(await get(tunnel.id), renamed.body)
  })

  it('are left as they are by a PATCH that is not acceptable', async () => {
    await newcomer()
    const tunnel = await made()
    const port = aField('local_port', 'must be from 1 to 65535')
    expectCountedError(await patch(tunnel.id, { name: 'B', local_port: 0 }), 'validation_error', port)
    const mask = aField(
      'update_mask',
      '"token" cannot be updated; name some of name, subdomain, local_port, response_timeout',
    )
    expectCountedError(await patch(tunnel.id, { update_mask: 'token' }), 'validation_error', mask)
    expectCountedError(await patch('tun_1', { name: 'B' }), 'not_found', notFound)
    expectAnswer(await get(tunnel.id), tunnel)
  })

  it('show their token whole only to those who may write', async () => {
    await newcomer()
    const tunnel = await made()
    const reader = await keyFor('tunnels:read')
    const masked = { ...tunnel, token: `itt_***...${tunnel.token.slice(-3)}` }
    expectAnswer(await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token: reader }), masked)
    const listed = await stack.call('GET', '/v1/tunnels', { token: reader })
    expectAnswer(listed, { tunnels: [masked], next_page_token: '' })
  })

  it('get a new token; the old one is no credential any more', async () => {
    await newcomer()
    const tunnel = await made()
    // Valid, but for connecting only.
    expectError(await stack.call('GET', '/v1/tunnels', { token: tunnel.token }), 'forbidden', {
      message: "A tunnel's token is good for connecting that tunnel only",
    })
    const answer = await regenerate(tunnel.id)
    expectAnswer(answer, { success: true, token: aTunnelToken, connections_cut: 0 })
    expect(answer.body.token).not.toBe(tunnel.token)
    expectUnauthorized(await stack.call('GET', '/v1/tunnels', { token: tunnel.token }))
    expectAnswer(await get(tunnel.id), { ...tunnel, token: answer.body.token, updated_at: aTime })
  })

  it('of others are not there', async () => {
    await newcomer()
    const { id } = await made()
    await newcomer()
    for (const call of [get(id), patch(id, { name: 'Mine' }), remove(id), regenerate(id)])
      expectCountedError(await call, 'not_found', notFound)
  })

  it('are nothing for those without a credential, or without its scope', async () => {
    await newcomer()
    const { id } = await made()
    const calls = [
      ['GET', '/v1/tunnels', 'tunnels:read'],
      ['GET', `/v1/tunnels/${id}`, 'tunnels:read'],
      ['POST', '/v1/tunnels', 'tunnels:write'],
      ['PATCH', `/v1/tunnels/${id}`, 'tunnels:write'],
      ['DELETE', `/v1/tunnels/${id}`, 'tunnels:delete'],
      ['POST', `/v1/tunnels/${id}/regenerate-token`, 'tunnels:write'],
    ] as const
    const stranger = await keyFor('account:read')
    for (const [method, path, scope] of calls) {
      expectUnauthorized(await stack.call(method, path))
      expectScopeMissing(await stack.call(method, path, { token: stranger }), scope)
    }
  })
})
