import { describe, expect, it } from 'vitest'
import { aKey } from '../../test/known-key.ts'
import { keyBySecret } from './known-key.ts'

const now = new Date('2026-07-01T12:00:00Z')
const later = (ms: number) => new Date(now.getTime() + ms)

describe('knownKeyOf', () => {
  const [first, second, third] = [later(1), later(2), later(3)]

  it.each([
    ['key_expired', { expiresAt: first, sunsetAt: second }, third],
    ['key_rotated', { expiresAt: second, sunsetAt: first }, third],
    ['session_expired', { expiresAt: third, sunsetAt: second }, first],
  ])('says what ends it first, and when: %s', (endsAs, fields, expiresAt) => {
    expect(aKey(fields, { expiresAt }).holder).toMatchObject({ endsAt: first, endsAs })
  })

  it('is a credential that ends with an old secret, which makes nothing that outlives it', () => {
    const end = (fields: object) => aKey(fields).holder.credential.expiresAt
    const [second, hour] = [later(1000), later(3_600_000)]
    expect(end({ sunsetAt: second })).toBe(second.getTime() / 1000)
    expect(end({ sunsetAt: second, expiresAt: hour })).toBe(second.getTime() / 1000)
    expect(end({ sunsetAt: hour, expiresAt: second })).toBe(second.getTime() / 1000)
    expect(end({})).toBeUndefined()
  })

  it('has no end where nothing ends by itself', () => {
    const { holder } = aKey()
    expect([holder.endsAt, holder.endsAs]).toEqual([undefined, undefined])
  })
})

describe('keyBySecret', () => {
  const oldSecretEndsAt = later(60_000)
  const key = aKey({ secretGeneration: 3, oldSecretEndsAt, allowedSubdomains: ['docs-*'] })

  it('is the key as it is, by the secret that it has', () => {
    expect(keyBySecret(key, 3, now)).toBe(key)
    expect(keyBySecret(key, 3, oldSecretEndsAt)).toBe(key)
  })

  it('ends with the grace period, by the secret before, and not a moment later', () => {
    const old = keyBySecret(key, 2, later(59_999))
    expect(old?.holder).toMatchObject({
      ...key.holder,
      credential: { ...key.holder.credential, expiresAt: Math.floor(oldSecretEndsAt.getTime() / 1000) },
      secretGeneration: 2,
      endsAt: oldSecretEndsAt,
      endsAs: 'key_rotated',
    })
    expect(keyBySecret(key, 2, oldSecretEndsAt)).toBeUndefined()
    expect(keyBySecret(aKey({ secretGeneration: 3 }), 2, now)).toBeUndefined()
  })

  it.each([-1, 0, 1, 4])('is none by any other secret: of generation %i', (generation) => {
    expect(keyBySecret(key, generation, now)).toBeUndefined()
  })
})
