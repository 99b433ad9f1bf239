import { anId, aTime, aTunnelToken, expectJsonHeaders, expectRate } from '@instatunnel/test/shapes'
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
  ...fields,
})

describe('tunnels', () => {
  it('are made, listed, read and deleted, as InTunnel documents', async () => {
    await newcomer()
    const empty = await stack.call('GET', '/v1/tunnels', { token })
    expect(empty.body).toEqual({ tunnels: [], next_page_token: '' })

    const body = { name: 'New Tunnel', subdomain: 'NewTunnel', local_port: 8080 }
    const made = await stack.call('POST', '/v1/tunnels', { token, body })
    expect(made.status).toBe(200)
    expectJsonHeaders(made)
    expectRate(made)
    expect(made.body).toEqual({ success: true, tunnel: shownTunnel({ subdomain: 'newtunnel' }) })
    const { tunnel } = made.body

    const listed = await stack.call('GET', '/v1/tunnels', { token })
    expect(listed.status).toBe(200)
    expectJsonHeaders(listed)
    expect(listed.body).toEqual({ tunnels: [tunnel], next_page_token: '' })

    const read = await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token })
    expect(read.status).toBe(200)
    expectJsonHeaders(read)
    expect(read.body).toEqual(tunnel)

    const deleted = await stack.call('DELETE', `/v1/tunnels/${tunnel.id}`, { token })
    expect(deleted.status).toBe(200)
    expectJsonHeaders(deleted)
    expect(deleted.body).toEqual({ success: true, message: 'Tunnel deleted' })
    const gone = await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token })
    expect(gone.status).toBe(404)
    expectJsonHeaders(gone)
    expect(gone.body).toMatchObject({ error: 'not_found', code: 4004 })
  })

  it('get a readable name where none is asked for', async () => {
    await newcomer()
    const { body } = await stack.call('POST', '/v1/tunnels', { token, body: { name: 'Any', local_port: 1 } })
    expect(body.tunnel.subdomain).toMatch(/^[a-z]+-[a-z]+-[a-z0-9]{4}$/)
    expect(body.tunnel.url).toBe(`http://${body.tunnel.subdomain}.localhost:${stack.gateway.port}`)
  })

  it('have one owner a name', async () => {
    await newcomer()
    await stack.call('POST', '/v1/tunnels', {
      token,
      body: { name: 'First', subdomain: 'taken', local_port: 1 },
    })
    await newcomer()
    const answer = await stack.call('POST', '/v1/tunnels', {
      token,
      body: { name: 'Second', subdomain: 'Taken', local_port: 1 },
    })
    expect(answer.status).toBe(400)
    expectJsonHeaders(answer)
    expect(answer.body).toMatchObject({ error: 'subdomain_taken', code: 4009 })
  })

  it('are as many as the plan allows', async () => {
    await newcomer()
    const create = () =>
      stack.call('POST', '/v1/tunnels', { token, body: { name: 'One more', local_port: 1 } })
    for (let i = 0; i < 3; i++) expect((await create()).status).toBe(200)
    const answer = await create()
    expect(answer.status).toBe(403)
    expect(answer.body).toMatchObject({ error: 'plan_limit', code: 4013 })
    expect(answer.body.message).toContain('free')
  })

  it('name the field that is not acceptable', async () => {
    await newcomer()
    const reserved = await stack.call('POST', '/v1/tunnels', {
      token,
      body: { name: 'A', subdomain: 'www', local_port: 1 },
    })
    expect(reserved.status).toBe(400)
    expect(reserved.body).toMatchObject({
      error: 'validation_error',
      code: 4000,
      fields: [{ field: 'subdomain' }],
    })
    const port = await stack.call('POST', '/v1/tunnels', { token, body: { name: 'A', local_port: 70_000 } })
    expect(port.body).toMatchObject({ error: 'validation_error', fields: [{ field: 'local_port' }] })
    const mistyped = await stack.call('POST', '/v1/tunnels', {
      token,
      body: { name: 'A', local_port: 'many' },
    })
    expect(mistyped.status).toBe(400)
    expect(mistyped.body).toMatchObject({ error: 'validation_error', fields: [{ field: 'local_port' }] })
  })

  it('are changed by PATCH', async () => {
    await newcomer()
    const body = { name: 'New Tunnel', subdomain: 'before', local_port: 8080 }
    const { tunnel } = (await stack.call('POST', '/v1/tunnels', { token, body })).body
    const path = `/v1/tunnels/${tunnel.id}`
    const answer = await stack.call('PATCH', path, { token, body: { subdomain: 'after', localPort: 9090 } })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({
      ...tunnel,
      ...shownTunnel({ subdomain: 'after', local_port: 9090 }),
      token: tunnel.token,
      id: tunnel.id,
    })
  })

  it('show their token whole only to those who may write', async () => {
    await newcomer()
    const { tunnel } = (
      await stack.call('POST', '/v1/tunnels', { token, body: { name: 'T', local_port: 1 } })
    ).body
    const keyBody = { name: 'Reader', permissions: ['tunnels:read'] }
    const { key } = (await stack.call('POST', '/v1/auth/keys', { token, body: keyBody })).body
    const read = await stack.call('GET', `/v1/tunnels/${tunnel.id}`, { token: key })
    expect(read.body).toEqual({ ...tunnel, token: `itt_***...${tunnel.token.slice(-3)}` })
  })

  it('get a new token; the old one is no credential any more', async () => {
    await newcomer()
    const { tunnel } = (
      await stack.call('POST', '/v1/tunnels', { token, body: { name: 'T', local_port: 1 } })
    ).body
    const known = await stack.call('GET', '/v1/tunnels', { token: tunnel.token })
    expect(known.status).toBe(403) // valid, but for connecting only
    const answer = await stack.call('POST', `/v1/tunnels/${tunnel.id}/regenerate-token`, { token })
    expect(answer.status).toBe(200)
    expectJsonHeaders(answer)
    expect(answer.body).toEqual({ success: true, token: aTunnelToken })
    expect(answer.body.token).not.toBe(tunnel.token)
    expect((await stack.call('GET', '/v1/tunnels', { token: tunnel.token })).status).toBe(401)
  })
})
