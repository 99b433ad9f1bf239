import { describe, expect, it } from 'vitest'
import { boundsFault, boundsWithin } from './bounds.ts'

const type = 'api_key' as const
const none = { allowedIps: [], allowedSubdomains: [], expiresAt: null }
const office = { ...none, allowedIps: ['192.0.2.0/24'] }
const docs = { ...none, allowedSubdomains: ['docs-*'] }
const until = (iso: string) => ({ ...none, expiresAt: new Date(iso) })
const NOON = Date.parse('2026-01-01T12:00:00Z') / 1000

describe('boundsFault', () => {
  it('is none for a caller who is held to nothing', () => {
    for (const key of [none, office, docs]) expect(boundsFault(key, { type })).toBeUndefined()
  })

  it('is none for a key that is held to as much', () => {
    expect(boundsFault(office, { type, networks: ['192.0.0.0/16'] })).toBeUndefined()
    expect(boundsFault(docs, { type, subdomains: ['docs-*', 'shop'] })).toBeUndefined()
    const both = { ...office, allowedSubdomains: ['docs-a', 'docs-b*'] }
    const caller = { type, networks: ['192.0.2.0/24'], subdomains: ['docs-*'] }
    expect(boundsFault(both, caller)).toBeUndefined()
  })

  it('names what the caller is held to and the key is not', () => {
    for (const key of [none, docs, { ...office, allowedIps: ['192.0.2.0/24', '198.51.100.0/24'] }])
      expect(boundsFault(key, { type, networks: ['192.0.2.0/24'] })).toMatch(/from 192\.0\.2\.0\/24 only/)
    for (const key of [none, office, { ...docs, allowedSubdomains: ['docs-*', '*'] }])
      expect(boundsFault(key, { type, subdomains: ['docs-*'] })).toMatch(/subdomains docs-\* only/)
  })

  it('takes no IPv4 address for one of IPv6, and the reverse', () => {
    const translated = { ...none, allowedIps: ['64:ff9b::c000:207/128'] }
    expect(boundsFault(office, { type, networks: ['::/0', '::/8'] })).toMatch(/from ::\/0, ::\/8 only/)
    expect(boundsFault(translated, { type, networks: ['0.0.0.0/0'] })).toMatch(/from 0\.0\.0\.0\/0 only/)
  })

  it('is there for a key that outlives the caller, which is a key', () => {
    const caller = { type, expiresAt: NOON }
    for (const key of [none, until('2026-01-01T12:00:01Z')])
      expect(boundsFault(key, caller)).toMatch(/expires at 2026-01-01T12:00:00/)
    for (const key of [until('2026-01-01T12:00:00.999Z'), until('2026-01-01T11:00:00Z')])
      expect(boundsFault(key, caller)).toBeUndefined()
    expect(boundsFault(none, { type: 'session', expiresAt: NOON })).toBeUndefined()
  })

  it('is there for every key where the uses of the caller are counted', () => {
    for (const key of [none, office, docs])
      expect(boundsFault(key, { type, counted: true })).toMatch(/counted/)
  })
})

describe('boundsWithin', () => {
  it('takes the caller’s where nothing is said, and what is said otherwise', () => {
    const caller = { type, networks: ['192.0.2.0/24'], subdomains: ['docs-*'] }
    expect(boundsWithin(none, caller)).toEqual({ ...office, allowedSubdomains: ['docs-*'] })
    const own = { allowedIps: ['::1/128'], allowedSubdomains: ['a'], expiresAt: new Date(0) }
    expect(boundsWithin(own, { ...caller, expiresAt: NOON })).toEqual(own)
    expect(boundsWithin(none, { type, expiresAt: NOON })).toEqual(until('2026-01-01T12:00:00Z'))
    expect(boundsWithin(none, { type })).toEqual(none)
  })
})
