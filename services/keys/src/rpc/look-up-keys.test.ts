import { randomBytes } from 'node:crypto'
import { digestOf } from '@instatunnel/kit/secret'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, made } from '../../test/made.ts'
import { newPepper, newSessionId, startKeys } from '../../test/start-keys.ts'

const p1 = newPepper()
const keys = await startKeys({ KEY_PEPPERS: JSON.stringify({ p1 }) })
afterAll(() => keys.close())

describe('LookUpKeys', () => {
  it('finds a key by the digest of its secret, its permissions expanded and sorted', async () => {
    const user = keys.user()
    const { key, secret } = await made(user, { permissions: ['tunnels:*', 'account:read'], expiresIn: 60 })
    expect(await keys.lookUp(secret)).toEqual({
      id: key.id,
      userId: user.id,
      sessionId: undefined,
      masked: key.key,
      permissions: ['account:read', 'tunnels:delete', 'tunnels:read', 'tunnels:stats', 'tunnels:write'],
      enabled: true,
      expiresAt: key.expiresAt,
      rateLimitEnabled: true,
      isMetered: false,
      allowedIps: [],
      allowedSubdomains: [],
      secretGeneration: 0,
    })
  })

  it("names a session's key's session", async () => {
    const user = keys.user()
    const sessionId = newSessionId()
    const made = await keys.directory.createSessionKey({
      sessionId,
      userId: user.id,
      permissions: ['logs:read'],
    })
    expect(await keys.lookUp(made.key)).toMatchObject({
      id: made.keyId,
      userId: user.id,
      sessionId,
      expiresAt: undefined,
    })
  })

  it('finds a key under an old pepper, for as long as there is that pepper', async () => {
    const { DATABASE_URL = '' } = keys.environment
    const { id, secret } = await made(keys.user())
    const rotated = await startKeys({ DATABASE_URL, KEY_PEPPERS: JSON.stringify({ p1, p2: newPepper() }) })
    const later = await startKeys({ DATABASE_URL, KEY_PEPPERS: JSON.stringify({ p2: newPepper() }) })
    expect(await rotated.lookUp(secret)).toMatchObject({ id })
    expect(await later.lookUp(secret)).toBeUndefined()

    const newer = await made(rotated.user())
    const [row] = await keys.sql`select pepper_id from api_keys where id = ${newer.id}`
    expect(row).toEqual({ pepperId: 'p2' })
    await Promise.all([rotated.close(), later.close()])
  })

  it('finds many at once, tells which is which, and leaves out what is not there', async () => {
    const user = keys.user()
    const [first, second, revoked] = await Promise.all([made(user), made(user), made(user)])
    await user.deleteKey({ id: revoked.id })
    const secrets = [first.secret, 'it_0000000000000000', revoked.secret, second.secret, first.secret]
    const { found } = await keys.directory.lookUpKeys({ digests: secrets.map(digestOf) })
    expect(found.map(({ index, key }) => [index, key?.id])).toEqual([
      [0, first.id],
      [3, second.id],
      [4, first.id],
    ])
    expect(await keys.directory.lookUpKeys({ digests: [] })).toEqual({ found: [] })
    const most = Array.from({ length: 500 }, () => randomBytes(32))
    expect(await keys.directory.lookUpKeys({ digests: [...most.slice(1), digestOf(second.secret)] })).toEqual(
      {
        found: [{ index: 499, key: expect.objectContaining({ id: second.id }) }],
      },
    )
  })

  it('finds a key by both of its secrets while the old one works, and says when that ends', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    const before = Date.now()
    const { key: newer } = await user.rotateKey({ id, gracePeriod: 60 })
    const old = await keys.lookUp(secret)
    const { deprecatedAt, sunsetAt, secretGeneration, ...same } = old ?? {}
    expect(secretGeneration).toBe(0)
    expect(deprecatedAt?.getTime()).toBeGreaterThanOrEqual(before)
    expect(Number(sunsetAt) - Number(deprecatedAt)).toBe(60_000)
    const current = await keys.lookUp(newer)
    expect(current).toEqual({
      ...same,
      masked: current?.masked,
      deprecatedAt: undefined,
      sunsetAt: undefined,
      secretGeneration: 1,
      oldSecretEndsAt: sunsetAt,
    })

    await user.endGracePeriod({ id })
    expect(await keys.lookUp(secret)).toBeUndefined()
    expect(await keys.lookUp(newer)).toEqual({ ...current, oldSecretEndsAt: undefined })
  })

  it.each([0, 31, 33, 100_000])('refuses a digest of %i bytes', async (length) => {
    const digests = [randomBytes(32), Buffer.alloc(length)]
    expect(await refused(keys.directory.lookUpKeys({ digests }))).toEqual(
      invalid('digests[1]', 'must be 32 bytes, a SHA-256'),
    )
  })

  it('refuses more than 500', async () => {
    const digests = Array.from({ length: 501 }, () => randomBytes(32))
    expect(await refused(keys.directory.lookUpKeys({ digests }))).toEqual(
      invalid('digests', 'must be at most 500'),
    )
  })
})

describe('KeyDirectoryService', () => {
  it('is for services only', async () => {
    const digests = [Buffer.alloc(32)]
    for (const call of [keys.callWith({}), keys.callWith({ 'x-instatunnel-service': 'auth' })]) {
      const refusal = {
        code: 'UNAUTHENTICATED',
        reason: 'SERVICES_ONLY',
        message: 'Only services of the platform may call this',
      }
      expect(await refused(call.lookUpKeys({ digests }))).toMatchObject(refusal)
      expect(await refused(call.getKeyRecord({}))).toMatchObject(refusal)
      expect(await refused(call.createSessionKey({}))).toMatchObject(refusal)
      expect(await refused(call.revokeKey({}))).toMatchObject(refusal)
    }
  })
})

describe('ApiKeyService', () => {
  it('refuses a call that nobody vouches for', async () => {
    const refusal = {
      code: 'UNAUTHENTICATED',
      reason: 'CREDENTIAL_MISSING',
      message: 'Invalid or missing API key',
    }
    const rpcs = keys.callWith({})
    for (const name of Object.keys(ApiKeyServiceService) as (keyof typeof ApiKeyServiceService)[]) {
      expect(await refused(rpcs[name]())).toMatchObject(refusal)
    }
  })
})
