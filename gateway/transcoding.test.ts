import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { descriptorsFile } from '@instatunnel/kit/rules'
import { Tunnel } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from './test/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  for (const backend of [gateway.keys, gateway.tunnels]) {
    backend.heard.length = 0
    backend.reply = () => ({})
  }
})

describe('a request', () => {
  /** What the service hears of a call that passes. */
  const heard = async (method: string, path: string, body?: unknown) => {
    const answer = await gateway.call(method, path, body === undefined ? {} : { body: JSON.stringify(body) })
    expect(answer.status).toBe(200)
    return [...gateway.keys.heard, ...gateway.tunnels.heard][0]?.request
  }

  it('takes snake_case and camelCase', async () => {
    for (const body of [
      { local_port: 3000 },
      { localPort: 3000 },
      { localPort: '3000' },
      { local_port: 3e3 },
    ]) {
      gateway.tunnels.heard.length = 0
      expect(await heard('POST', '/v1/tunnels', { name: 'a', ...body })).toEqual({
        name: 'a',
        localPort: 3000,
        ephemeral: false,
      })
    }
  })

  it('tells an empty list of permissions from none', async () => {
    const heardOf = async (method: string, path: string, body: string) => {
      gateway.keys.heard.length = 0
      expect((await gateway.call(method, path, { body })).status).toBe(200)
      const { permissions, noPermissions, name } = gateway.keys.heard[0]?.request ?? {}
      return { permissions, noPermissions, name }
    }
    for (const [method, path] of [
      ['POST', '/v1/auth/keys'],
      ['POST', '/v1/api-keys'],
      ['PATCH', '/v1/auth/keys/key_1'],
    ] as const) {
      const empty = { permissions: [], noPermissions: true, name: 'é' }
      expect(await heardOf(method, path, '{"permissions":[],"name":"é"}')).toEqual(empty)
      expect(await heardOf(method, path, '{"name":"é", "permissions" : [ \n] }')).toEqual(empty)
      expect(await heardOf(method, path, '{"p\\u0065rmissions":[],"name":"é"}')).toEqual(empty)
      expect(await heardOf(method, path, '{"name":"é","no_permissions":true}')).toEqual(empty)

      const leftOut = { permissions: [], noPermissions: undefined, name: 'é' }
      expect(await heardOf(method, path, '{"name":"é"}')).toEqual(leftOut)
      expect(await heardOf(method, path, '{"name":"é","metadata":{"permissions":[]}}')).toEqual(leftOut)
      expect(await heardOf(method, path, '{"name":"é","allowed_ips":[]}')).toEqual(leftOut)
      expect(await heardOf(method, path, '{"name":"é","permissions":["a"]}')).toEqual({
        ...leftOut,
        permissions: ['a'],
      })
    }
    for (const body of [
      '{"permissions":[],"no_permissions":false}',
      '{"noPermissions":true,"permissions":[]}',
    ])
      expect((await gateway.call('POST', '/v1/auth/keys', { body })).status).toBe(400)
  })

  it('holds the path’s id', async () => {
    expect(await heard('GET', '/v1/auth/keys/key_1')).toEqual({ id: 'key_1' })
    gateway.keys.heard.length = 0
    expect(await heard('DELETE', '/v1/auth/keys/key_1?reason=a%20b%26c')).toEqual({
      id: 'key_1',
      reason: 'a b&c',
      regenerate: false,
    })
    gateway.keys.heard.length = 0
    expect(await heard('PATCH', '/v1/auth/keys/key_1', { id: 'key_1', name: 'a' })).toMatchObject({
      id: 'key_1',
    })
  })

  it('tells a field that is present from one that is not', async () => {
    const patched = async (body: object) => {
      gateway.keys.heard.length = 0
      return heard('PATCH', '/v1/auth/keys/key_1', body)
    }
    const lists = { permissions: [], allowedIps: [], allowedSubdomains: [] }
    expect(await patched({})).toEqual({ id: 'key_1', ...lists })
    expect(await patched({ name: '', enabled: false, expires_in: 0 })).toEqual({
      id: 'key_1',
      ...lists,
      name: '',
      enabled: false,
      expiresIn: 0,
    })
    expect(await patched({ name: null, enabled: null })).toEqual({ id: 'key_1', ...lists })
  })

  it('takes the update_mask in the query and in the body, by either spelling', async () => {
    const path = '/v1/auth/keys/key_1'
    const masked: [query: string, body: object][] = [
      ['?update_mask=name,expires_in', { name: 'a' }],
      ['?updateMask=name,expiresIn', { name: 'a' }],
      ['?update_mask.paths=name&update_mask.paths=expires_in', { name: 'a' }],
      ['', { name: 'a', update_mask: 'name,expires_in' }],
      ['', { name: 'a', updateMask: 'name,expiresIn' }],
    ]
    for (const [query, body] of masked) {
      gateway.keys.heard.length = 0
      expect(await heard('PATCH', `${path}${query}`, body)).toMatchObject({
        name: 'a',
        updateMask: ['name', 'expires_in'],
      })
    }
  })

  it('carries metadata as it is', async () => {
    const metadata = { a: [1, null, true, 'é\u2028\u{1f600}', { b: {} }], n: -1.5e300, ü: 'ß' }
    expect(await heard('POST', '/v1/auth/keys', { name: 'a', metadata })).toMatchObject({ metadata })
  })

  it('needs no body where nothing is to be said', async () => {
    expect(await heard('POST', '/v1/tunnels/tun_1/regenerate-token')).toEqual({ id: 'tun_1' })
  })

  it('reaches each rpc by each of its paths', async () => {
    const backends = [gateway.auth, gateway.keys, gateway.tunnels]
    for (const { rpc, method, template } of readRestBindings(descriptorsFile())) {
      // An id that is a word of the contract elsewhere, and a slash at the end, are no other path.
      for (const path of [template, `${template}/`].map((each) => each.replace('{id}', 'whoami'))) {
        for (const { heard } of backends) heard.length = 0
        expect((await gateway.call(method, path)).status, path).toBe(200)
        expect(backends.flatMap(({ heard }) => heard).map((each) => each.rpc)).toEqual([rpc])
      }
    }
    // Where a word and an id fit, the word is meant by its own methods only.
    gateway.keys.heard.length = 0
    expect(await heard('PATCH', '/v1/auth/keys/verify', { name: 'a' })).toMatchObject({ id: 'verify' })
  })
})

describe('an answer', () => {
  it('has the proto’s names, every plain field, and no time that is not set', async () => {
    gateway.tunnels.reply = () =>
      Tunnel.fromPartial({ id: 'tun_1', localPort: 3000, createdAt: new Date('2026-01-02T03:04:05.678Z') })
    expect((await gateway.call('GET', '/v1/tunnels/tun_1')).body).toBe(
      '{"id":"tun_1","name":"","subdomain":"","local_port":3000,"token":"","status":"","domain":"","url":"",' +
        '"created_at":"2026-01-02T03:04:05.678Z","user_id":"","ephemeral":false}',
    )
  })

  it('is UTF-8 with what could hurt escaped', async () => {
    gateway.tunnels.reply = () => Tunnel.fromPartial({ name: '"\\\n\0\u2028</script>é\u{1f600}' })
    const answer = await gateway.call('GET', '/v1/tunnels/tun_1')
    expect(JSON.parse(answer.body).name).toBe('"\\\n\0\u2028</script>é\u{1f600}')
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.body)))
  })

  it('may set cookies', async () => {
    gateway.auth.check.decide = () => ({ admit: true, toClient: { 'set-cookie': 'session=x; HttpOnly' } })
    const answer = await gateway.call('GET', '/v1/tunnels')
    gateway.auth.check.decide = () => ({ admit: true })
    expect(answer.headers['set-cookie']).toBe('session=x; HttpOnly')
  })
})

it('knows every service of the contract that is not internal', async () => {
  const proto = join(import.meta.dirname, '../proto')
  const services: string[] = []
  for await (const file of glob('instatunnel/*/v1/*.proto', { cwd: proto })) {
    const text = readFileSync(join(proto, file), 'utf8')
    const name = /^package (.+);$/m.exec(text)?.[1]
    for (const [, service] of text.matchAll(/^service (\w+)/gm)) services.push(`${name}.${service}`)
  }
  const listed = readFileSync(join(import.meta.dirname, 'http.yaml'), 'utf8').match(
    /instatunnel\.\w+\.v1\.\w+/g,
  )
  expect(listed?.sort()).toEqual(services.sort())
})
