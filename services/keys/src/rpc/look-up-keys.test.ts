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

/** What an asker that knows nothing is told that it knows then. */
const revisionOf = async (secret: string) => {
  const { found } = await keys.directory.lookUpKeys({ digests: [digestOf(secret)] })
  return found[0]?.revision
}

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
    expect(await keys.directory.lookUpKeys({ digests: [] })).toEqual({ found: [], unchanged: [] })
    const most = Array.from({ length: 500 }, () => randomBytes(32))
    expect(await keys.directory.lookUpKeys({ digests: [...most.slice(1), digestOf(second.secret)] })).toEqual(
      {
        found: [
          { index: 499, key: expect.objectContaining({ id: second.id }), revision: expect.any(Buffer) },
        ],
        unchanged: [],
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

  it('answers of those that are as the asker knows them only that, and forgets none that are gone', async () => {
    const user = keys.user()
    const all = await Promise.all([made(user), made(user), made(user), made(user)])
    const [same, changed, revoked, unknown] = all
    const digests = all.map(({ secret }) => digestOf(secret))
    const first = await keys.directory.lookUpKeys({ digests })
    const revisions = first.found.map(({ revision }) => revision)
    expect(new Set(revisions.map(String)).size).toBe(4)
    expect(await keys.directory.lookUpKeys({ digests, revisions })).toEqual({
      found: [],
      unchanged: [0, 1, 2, 3],
    })

    await user.updateKey({ id: changed.id, enabled: false })
    await user.deleteKey({ id: revoked.id })
    const known = [...revisions.slice(0, 3), Buffer.alloc(0)]
    const later = await keys.directory.lookUpKeys({ digests, revisions: known })
    expect(later.found.map(({ index, key }) => [index, key?.id, key?.enabled])).toEqual([
      [1, changed.id, false],
      [3, unknown.id, true],
    ])
    expect(later.unchanged).toEqual([0])
    expect(same.id).toBe(first.found[0]?.key?.id)
  })

  it('takes uses of a key, and a change of its name, for no change of what decides', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    const digests = [digestOf(secret)]
    const { found } = await keys.directory.lookUpKeys({ digests })
    const revisions = found.map(({ revision }) => revision)
    await keys.sql`update api_keys set request_count = request_count + 1, last_request = now() where id = ${id}`
    await user.updateKey({ id, name: 'another' })
    expect(await keys.directory.lookUpKeys({ digests, revisions })).toEqual({ found: [], unchanged: [0] })
  })

  it.each([
    ['permissions', { permissions: ['logs:read'] }],
    ['being switched off', { enabled: false }],
    ['an end', { expiresIn: 60 }],
    ['networks', { allowedIps: ['10.0.0.0/8'] }],
    ['subdomains', { allowedSubdomains: ['docs-*'] }],
    ['uses that remain', { remaining: 5 }],
    ['a window of its own', { rateLimitMax: 5, rateLimitTimeWindow: 1000 }],
    ['no limits', { rateLimitEnabled: false }],
  ])('is of another revision with %s', async (_, change) => {
    const user = keys.user({ role: 'admin' })
    const { id, secret } = await made(user)
    const revision = await revisionOf(secret)
    await user.updateKey({ id, ...change })
    expect(await revisionOf(secret)).not.toEqual(revision)
  })

  it('tells a secret that was replaced from what it was, and from the one that replaced it', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    const revisions = [await revisionOf(secret)]
    const { key: newer } = await user.rotateKey({ id, gracePeriod: 60 })
    revisions.push(await revisionOf(secret), await revisionOf(newer))
    await user.endGracePeriod({ id })
    revisions.push(await revisionOf(newer))
    expect(new Set(revisions.map((revision) => revision?.toString('hex'))).size).toBe(4)
    const digests = [digestOf(secret)]
    expect(await keys.directory.lookUpKeys({ digests, revisions: [revisions[1] as Buffer] })).toEqual({
      found: [],
      unchanged: [],
    })
  })

  it.each([1, 3])('refuses %i revisions of 2 digests', async (count) => {
    const digests = [randomBytes(32), randomBytes(32)]
    const revisions = Array.from({ length: count }, () => randomBytes(16))
    expect(await refused(keys.directory.lookUpKeys({ digests, revisions }))).toEqual(
      invalid('revisions', 'must be none, or one for each digest'),
    )
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
