import { scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { newPepper, newSessionId, startKeys } from '../../test/start-keys.ts'

let time = Date.parse('2026-01-01')
const p1 = newPepper()
const keys = await startKeys({ KEY_PEPPERS: JSON.stringify({ p1 }) }, { now: () => new Date(time) })
afterAll(() => keys.close())

const rowOf = async (id: string) => (await keys.sql`select * from api_keys where id = ${id}`)[0]

describe('RotateKey', () => {
  it('gives another secret under the same id; the old one is known no more', async () => {
    const user = keys.user()
    const { key, id, secret } = await made(user, { permissions: ['logs:read'], metadata: { a: 1 } })
    const rotated = await user.rotateKey({ id })
    expect(rotated.key).toMatch(/^it_[0-9A-Za-z]{16}$/)
    expect(rotated.key).not.toBe(secret)
    expect(rotated.apiKey).toEqual({
      ...key,
      key: `it_***...${rotated.key.slice(-3)}`,
      start: rotated.key.slice(0, 5),
      keyPrefix: rotated.key.slice(0, 5),
      updatedAt: expect.any(Date),
    })
    expect(await user.getKey({ id })).toEqual(rotated.apiKey)
    expect(await keys.lookUp(secret)).toBeUndefined()
    expect(await keys.lookUp(rotated.key)).toMatchObject({ id, deprecatedAt: undefined, sunsetAt: undefined })
  })

  it('keeps nothing of the old secret without a grace period', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const hash = (await rowOf(id))?.hash as Buffer
    await user.rotateKey({ id, gracePeriod: 60 })
    await user.rotateKey({ id, gracePeriod: 0 })
    expect(await rowOf(id)).toMatchObject({
      oldHash: null,
      oldPepperId: null,
      oldMasked: null,
      rotatedAt: null,
      oldEndsAt: null,
      oldLastRequest: null,
    })
    expect((await rowOf(id))?.hash).not.toEqual(hash)
  })

  it('keeps the prefix that was chosen', async () => {
    const user = keys.user()
    const { id } = await made(user, { prefix: 'acme_' })
    const { key, apiKey } = await user.rotateKey({ id })
    expect(key).toMatch(/^acme_[0-9A-Za-z]{32}$/)
    expect(apiKey).toMatchObject({ prefix: 'acme_', start: key.slice(0, 6) })
  })

  it('leaves the old secret for the grace period, to the millisecond, and says until when', async () => {
    const user = keys.user()
    const { id, secret, key } = await made(user)
    const rotated = await user.rotateKey({ id, gracePeriod: 3600 })
    const old = rotated.apiKey?.oldSecret
    expect(old).toEqual({
      key: key.key,
      rotatedAt: rotated.apiKey?.updatedAt,
      endsAt: new Date(Number(old?.rotatedAt) + 3_600_000),
      lastUsedAt: undefined,
    })
    const [byOld, byNew] = [await keys.lookUp(secret), await keys.lookUp(rotated.key)]
    expect(byOld).toEqual({
      ...byNew,
      deprecatedAt: old?.rotatedAt,
      sunsetAt: old?.endsAt,
      secretGeneration: 0,
    })
    expect(byNew).toMatchObject({
      id,
      masked: rotated.apiKey?.key,
      deprecatedAt: undefined,
      secretGeneration: 1,
      oldSecretEndsAt: old?.endsAt,
    })

    time = Number(old?.endsAt) - 1
    expect(await keys.lookUp(secret)).toEqual(byOld)
    time = Number(old?.endsAt)
    expect(await keys.lookUp(secret)).toBeUndefined()
    expect(await keys.lookUp(rotated.key)).toEqual(byNew)
    expect((await user.getKey({ id })).oldSecret).toBeUndefined()
  })

  it('ends an earlier grace period: no more than one old secret works', async () => {
    const user = keys.user()
    const { id, secret: first } = await made(user)
    const second = await user.rotateKey({ id, gracePeriod: 3600 })
    const third = await user.rotateKey({ id, gracePeriod: 10 })
    expect(third.apiKey?.oldSecret?.key).toBe(second.apiKey?.key)
    const found = await Promise.all([first, second.key, third.key].map(keys.lookUp))
    expect(found.map((record) => record?.id)).toEqual([undefined, id, id])
  })

  it('counts the secrets that it had, also of rotations at once, and no other changes', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    expect(await keys.lookUp(secret)).toMatchObject({ secretGeneration: 0 })
    const rotations = await Promise.all(Array.from({ length: 5 }, () => user.rotateKey({ id })))
    const found = await Promise.all(rotations.map(({ key }) => keys.lookUp(key)))
    expect(found.flatMap((record) => record?.secretGeneration ?? [])).toEqual([5])
    const { key: old } = await user.rotateKey({ id })
    const { key } = await user.rotateKey({ id, gracePeriod: 60 })
    await user.updateKey({ id, name: 'after' })
    await user.deleteKey({ id })
    await user.restoreKey({ id })
    expect(await keys.lookUp(old)).toMatchObject({ secretGeneration: 6 })
    expect(await keys.lookUp(key)).toMatchObject({ secretGeneration: 7 })
    await user.endGracePeriod({ id })
    expect(await keys.lookUp(key)).toMatchObject({ secretGeneration: 7, oldSecretEndsAt: undefined })
  })

  it('finds the old secret under an old pepper', async () => {
    const { DATABASE_URL = '' } = keys.environment
    const user = keys.user()
    const { id, secret } = await made(user)
    const settings = { DATABASE_URL, KEY_PEPPERS: JSON.stringify({ p1, p2: newPepper() }) }
    const later = await startKeys(settings, { now: () => new Date(time) })
    const { key } = await later.user({ id: user.id }).rotateKey({ id, gracePeriod: 60 })
    expect(await later.lookUp(secret)).toMatchObject({ id, sunsetAt: expect.any(Date) })
    expect(await later.lookUp(key)).toMatchObject({ id })
    expect(await rowOf(id)).toMatchObject({ pepperId: 'p2', oldPepperId: 'p1' })
    await later.close()
  })

  it('finds no old secret of a revoked key, and finds it again once that is restored', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    const { key } = await user.rotateKey({ id, gracePeriod: 3600 })
    await user.deleteKey({ id })
    expect(await keys.lookUp(secret)).toBeUndefined()
    await user.restoreKey({ id })
    expect(await keys.lookUp(secret)).toMatchObject({ id })
    expect(await keys.lookUp(key)).toMatchObject({ id })
  })

  it('looks up many at once, each by the secret that it was asked with', async () => {
    const user = keys.user()
    const all = await Promise.all([made(user), made(user), made(user)])
    const [a, b, c] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
    const { key } = await user.rotateKey({ id: b.id, gracePeriod: 60 })
    const secrets = [c.secret, 'it_0000000000000000', b.secret, a.secret, key, c.secret]
    const { found } = await keys.directory.lookUpKeys({ digests: secrets.map(digestOf) })
    expect(
      found.map(({ index, key: record }) => [index, record?.id, record?.sunsetAt !== undefined]),
    ).toEqual([
      [0, c.id, false],
      [2, b.id, true],
      [3, a.id, false],
      [4, b.id, false],
      [5, c.id, false],
    ])
  })

  it.each([1, 2_592_000])('takes a grace period of %i s', async (gracePeriod) => {
    const user = keys.user()
    const { id } = await made(user)
    const { oldSecret } = (await user.rotateKey({ id, gracePeriod })).apiKey ?? {}
    expect(Number(oldSecret?.endsAt) - Number(oldSecret?.rotatedAt)).toBe(gracePeriod * 1000)
  })

  it.each([-1, 2_592_001, -(2 ** 31), 2 ** 31 - 1])('refuses one of %i s', async (gracePeriod) => {
    const user = keys.user()
    const { id, secret } = await made(user)
    expect(await refused(user.rotateKey({ id, gracePeriod }))).toEqual(
      invalid('grace_period', 'must be from 0 to 2592000 seconds (30 days)'),
    )
    expect(await keys.lookUp(secret)).toMatchObject({ id })
  })

  it('leaves one secret that works of many rotations at once, and the one before it', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    const rotations = await Promise.all(
      Array.from({ length: 10 }, () => user.rotateKey({ id, gracePeriod: 60 })),
    )
    const secrets = [secret, ...rotations.map(({ key }) => key)]
    const found = await Promise.all(secrets.map(keys.lookUp))
    const isOld = found.flatMap((record) => (record ? [record.sunsetAt !== undefined] : []))
    expect(isOld.sort()).toEqual([false, true])
    const now = await user.getKey({ id })
    const current = secrets.filter((_, n) => found[n] && !found[n].sunsetAt)
    expect(now.key).toBe(`it_***...${current[0]?.slice(-3)}`)
  })

  it('leaves no two secrets that work of two rotations at once without a grace period', async () => {
    const user = keys.user()
    for (let round = 0; round < 10; round++) {
      const { id, secret } = await made(user)
      const [one, two] = await Promise.all([user.rotateKey({ id }), user.rotateKey({ id })])
      const found = await Promise.all([secret, one.key, two.key].map(keys.lookUp))
      expect(found.filter(Boolean)).toHaveLength(1)
      expect(found[0]).toBeUndefined()
    }
  })

  it("rotates no other user's key, unless with admin:write", async () => {
    const owner = keys.user()
    const { id, secret } = await made(owner)
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      expect(await refused(keys.user({ scopes }).rotateKey({ id }))).toEqual(keyNotFound)
    }
    expect(await keys.lookUp(secret)).toMatchObject({ id })
    expect((await keys.user({ role: 'admin' }).rotateKey({ id })).apiKey).toMatchObject({ userId: owner.id })
  })

  it('refuses a credential with fewer scopes than the key: it would gain them', async () => {
    const owner = keys.user()
    const { id, secret } = await made(owner, { permissions: ['keys:manage', 'tunnels:*'] })
    const narrow = keys.user({ id: owner.id, scopes: ['keys:manage', 'tunnels:read'] })
    expect(await refused(narrow.rotateKey({ id }))).toEqual(scopeMissing('tunnels:delete'))
    expect(await keys.lookUp(secret)).toMatchObject({ id })
  })

  it("rotates no session's key", async () => {
    const user = keys.user()
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId, key } = await keys.directory.createSessionKey(request)
    expect(await refused(user.rotateKey({ id: keyId }))).toMatchObject({
      code: 'ABORTED',
      reason: 'SESSION_KEY',
      http: 409,
    })
    expect(await keys.lookUp(key)).toMatchObject({ id: keyId })
  })

  it('does not find a revoked key', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    expect(await refused(user.rotateKey({ id }))).toEqual(keyNotFound)
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().rotateKey({ id }))).toEqual(keyNotFound)
  })
})
