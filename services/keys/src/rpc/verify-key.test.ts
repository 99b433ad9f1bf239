import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { invalid, made } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())
beforeEach(() => {
  keys.auth.code = 'VALID'
  keys.auth.retryAfter = undefined
  keys.auth.asked.length = 0
})

const notFound = { valid: false, code: 'NOT_FOUND', apiKey: undefined }

describe('VerifyKey', () => {
  it('has auth decide about a key of the caller, by digest, its permissions expanded', async () => {
    const user = keys.user()
    const { key, secret } = await made(user)
    const asked = { key: secret, permissions: ['tunnels:*', 'logs:read'] }
    expect(await user.verifyKey(asked)).toEqual({ valid: true, code: 'VALID', apiKey: key })
    expect(keys.auth.asked).toEqual([
      {
        digest: digestOf(secret),
        permissions: ['logs:read', 'tunnels:delete', 'tunnels:read', 'tunnels:stats', 'tunnels:write'],
      },
    ])
  })

  it.each([
    'DISABLED',
    'EXPIRED',
    'FORBIDDEN_IP',
    'INSUFFICIENT_PERMISSIONS',
    'RATE_LIMITED',
    'USAGE_EXCEEDED',
  ])('passes %s on, with the key', async (code) => {
    const user = keys.user()
    const { key, secret } = await made(user)
    keys.auth.code = code
    expect(await user.verifyKey({ key: secret })).toEqual({ valid: false, code, apiKey: key })
  })

  it('tells until when nothing is left of the key', async () => {
    const user = keys.user()
    const { key, secret } = await made(user)
    Object.assign(keys.auth, { code: 'USAGE_EXCEEDED', retryAfter: 7 })
    const told = await user.verifyKey({ key: secret })
    expect(told).toEqual({ valid: false, code: 'USAGE_EXCEEDED', apiKey: key, retryAfter: 7 })
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:0DB8::7', '2001:db8::7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
  ])('has auth decide for the address %s', async (written, address) => {
    const user = keys.user()
    const { secret } = await made(user)
    await user.verifyKey({ key: secret, address: written })
    expect(keys.auth.asked).toMatchObject([{ address }])
  })

  it('shows no key where auth finds none', async () => {
    const user = keys.user()
    const { secret } = await made(user)
    keys.auth.code = 'NOT_FOUND'
    expect(await user.verifyKey({ key: secret })).toEqual(notFound)
  })

  it('asks auth about no key that is unknown, revoked or of another user', async () => {
    const user = keys.user()
    const revoked = await made(user)
    await user.deleteKey({ id: revoked.id })
    const others = await made(keys.user())
    for (const key of ['it_0000000000000000', 'x', 'é\0', '🔑'.repeat(128), revoked.secret, others.secret]) {
      expect(await user.verifyKey({ key })).toEqual(notFound)
    }
    expect(keys.auth.asked).toEqual([])
  })

  it("verifies another user's key with admin:read", async () => {
    const { key, secret } = await made(keys.user())
    const admin = keys.user({ scopes: ['keys:manage', 'admin:read'] })
    expect(await admin.verifyKey({ key: secret })).toEqual({ valid: true, code: 'VALID', apiKey: key })
  })

  it('is unavailable while auth is away', async () => {
    const user = keys.user()
    const { secret } = await made(user)
    keys.auth.code = undefined
    expect(await refused(user.verifyKey({ key: secret }))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'UNAVAILABLE',
      http: 503,
    })
  })

  it.each([
    { request: { key: '' }, field: 'key', message: 'must be 1 to 256 characters' },
    { request: { key: 'x'.repeat(257) }, field: 'key', message: 'must be 1 to 256 characters' },
    {
      request: { key: 'x', permissions: ['x'] },
      field: 'permissions[0]',
      message: 'is not a scope, nor a pattern that matches one',
    },
    {
      request: { key: 'x', permissions: Array(33).fill('logs:read') },
      field: 'permissions',
      message: 'must be at most 32',
    },
    ...[
      '',
      'x',
      '192.0.2.0/24',
      '192.0.2.7:80',
      '192.0.2.7, 192.0.2.8',
      '0300.0.2.7',
      'fe80::1%eth0',
      '[::1]',
    ].map((address) => ({
      request: { key: 'x', address },
      field: 'address',
      message: 'must be an IPv4 or IPv6 address',
    })),
  ])('refuses $field: $message', async ({ request, field, message }) => {
    expect(await refused(keys.user().verifyKey(request))).toEqual(invalid(field, message))
  })
})
