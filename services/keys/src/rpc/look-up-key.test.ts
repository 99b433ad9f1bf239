import { randomBytes } from 'node:crypto'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made } from '../../test/made.ts'
import { newPepper, newSessionId, startKeys } from '../../test/start-keys.ts'

const p1 = newPepper()
const keys = await startKeys({ KEY_PEPPERS: JSON.stringify({ p1 }) })
afterAll(() => keys.close())

describe('LookUpKey', () => {
  it('finds a key by the digest of its secret, its permissions expanded and sorted', async () => {
    const user = keys.user()
    const { key, secret } = await made(user, { permissions: ['tunnels:*', 'account:read'], expiresIn: 60 })
    expect(await keys.directory.lookUpKey({ digest: digestOf(secret) })).toEqual({
      id: key.id,
      userId: user.id,
      sessionId: undefined,
      masked: key.key,
      permissions: ['account:read', 'tunnels:delete', 'tunnels:read', 'tunnels:stats', 'tunnels:write'],
      enabled: true,
      expiresAt: key.expiresAt,
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
    expect(await keys.directory.lookUpKey({ digest: digestOf(made.key) })).toMatchObject({
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
    expect(await rotated.directory.lookUpKey({ digest: digestOf(secret) })).toMatchObject({ id })
    expect(await refused(later.directory.lookUpKey({ digest: digestOf(secret) }))).toEqual(keyNotFound)

    const newer = await made(rotated.user())
    const [row] = await keys.sql`select pepper_id from api_keys where id = ${newer.id}`
    expect(row).toEqual({ pepperId: 'p2' })
    await Promise.all([rotated.close(), later.close()])
  })

  it('does not find a secret that no key has', async () => {
    expect(await refused(keys.directory.lookUpKey({ digest: randomBytes(32) }))).toEqual(keyNotFound)
  })

  it.each([0, 31, 33, 100_000])('refuses a digest of %i bytes', async (length) => {
    expect(await refused(keys.directory.lookUpKey({ digest: Buffer.alloc(length) }))).toEqual(
      invalid('digest', 'must be 32 bytes, a SHA-256'),
    )
  })
})

describe('KeyDirectoryService', () => {
  it('is for services only', async () => {
    const digest = Buffer.alloc(32)
    for (const call of [keys.callWith({}), keys.callWith({ 'x-instatunnel-service': 'auth' })]) {
      const refusal = {
        code: 'UNAUTHENTICATED',
        reason: 'SERVICES_ONLY',
        message: 'Only services of the platform may call this',
      }
      expect(await refused(call.lookUpKey({ digest }))).toMatchObject(refusal)
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
    const { listKeys, getKey, createKey, updateKey, deleteKey, verifyKey } = keys.callWith({})
    for (const rpc of [listKeys, getKey, createKey, updateKey, deleteKey, verifyKey]) {
      expect(await refused(rpc())).toMatchObject(refusal)
    }
  })
})
