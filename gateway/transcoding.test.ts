import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
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

  it('drops what the contract does not know', async () => {
    const body = { name: 'a', local_port: 1, unknown: { a: [1] }, constructor: 1, __proto__x: 2, 'a.b': 3 }
    expect(await heard('POST', '/v1/tunnels', body)).toEqual({ name: 'a', localPort: 1, ephemeral: false })
  })

  it('holds the path’s id', async () => {
    expect(await heard('GET', '/v1/auth/keys/key_1')).toEqual({ id: 'key_1' })
    gateway.keys.heard.length = 0
    expect(await heard('DELETE', '/v1/auth/keys/key_1?reason=a%20b%26c')).toEqual({
      id: 'key_1',
      reason: 'a b&c',
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

  it('reaches the same rpc by each of its paths', async () => {
    await heard('POST', '/v1/auth/keys', { name: 'a' })
    await heard('POST', '/v1/api-keys', { name: 'a' })
    expect(new Set(gateway.keys.heard.map(({ rpc }) => rpc))).toEqual(
      new Set(['/instatunnel.keys.v1.ApiKeyService/CreateKey']),
    )
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

it('knows every service of the contract that is not internal, and names no path variable but id', async () => {
  const proto = join(import.meta.dirname, '../proto')
  const services: string[] = []
  for await (const file of glob('instatunnel/*/v1/*.proto', { cwd: proto })) {
    const text = readFileSync(join(proto, file), 'utf8')
    const name = /^package (.+);$/m.exec(text)?.[1]
    for (const [, service] of text.matchAll(/^service (\w+)/gm)) services.push(`${name}.${service}`)
    for (const [, variable] of text.matchAll(/(?:get|post|put|patch|delete): "[^"{]*\{(\w+)/g))
      expect(variable, `${file}: request.lua keeps only an id out of the query`).toBe('id')
  }
  const listed = readFileSync(join(import.meta.dirname, 'http.yaml'), 'utf8').match(
    /instatunnel\.\w+\.v1\.\w+/g,
  )
  expect(listed?.sort()).toEqual(services.sort())
})
