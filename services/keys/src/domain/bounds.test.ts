import { describe, expect, it } from 'vitest'
import { boundsFault, boundsWithin } from './bounds.ts'

const none = { allowedIps: [], allowedSubdomains: [] }
const office = { allowedIps: ['192.0.2.0/24'], allowedSubdomains: [] }
const docs = { allowedIps: [], allowedSubdomains: ['docs-*'] }

describe('boundsFault', () => {
  it('is none for a caller who is held to nothing', () => {
    for (const key of [none, office, docs]) expect(boundsFault(key, {})).toBeUndefined()
  })

  it('is none for a key that is held to as much', () => {
    expect(boundsFault(office, { networks: ['192.0.0.0/16'] })).toBeUndefined()
    expect(boundsFault(docs, { subdomains: ['docs-*', 'shop'] })).toBeUndefined()
    const both = { ...office, ...{ allowedSubdomains: ['docs-a', 'docs-b*'] } }
    expect(boundsFault(both, { networks: ['192.0.2.0/24'], subdomains: ['docs-*'] })).toBeUndefined()
  })

  it('names what the caller is held to and the key is not', () => {
    for (const key of [none, docs, { ...office, allowedIps: ['192.0.2.0/24', '198.51.100.0/24'] }])
      expect(boundsFault(key, { networks: ['192.0.2.0/24'] })).toMatch(/from 192\.0\.2\.0\/24 only/)
    for (const key of [none, office, { ...docs, allowedSubdomains: ['docs-*', '*'] }])
      expect(boundsFault(key, { subdomains: ['docs-*'] })).toMatch(/subdomains docs-\* only/)
  })

  it('is there for every key where the uses of the caller are counted', () => {
    for (const key of [none, office, docs]) expect(boundsFault(key, { counted: true })).toMatch(/counted/)
  })
})

describe('boundsWithin', () => {
  it('takes the caller’s where nothing is said, and what is said otherwise', () => {
    const caller = { networks: ['192.0.2.0/24'], subdomains: ['docs-*'] }
    expect(boundsWithin(none, caller)).toEqual({
      allowedIps: ['192.0.2.0/24'],
      allowedSubdomains: ['docs-*'],
    })
    expect(boundsWithin({ allowedIps: ['::1/128'], allowedSubdomains: ['a'] }, caller)).toEqual({
      allowedIps: ['::1/128'],
      allowedSubdomains: ['a'],
    })
    expect(boundsWithin(none, {})).toEqual(none)
  })
})
