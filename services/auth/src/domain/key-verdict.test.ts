import { scopesOfRole } from '@instatunnel/kit/scope'
import { describe, expect, it } from 'vitest'
import { aKey } from '../../test/known-key.ts'
import { judgeKey } from './key-verdict.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const later = (ms: number) => new Date(NOW.getTime() + ms)
const permissions = ['keys:manage', 'tunnels:read']
const admin = { role: 'admin' } as const

describe('judgeKey', () => {
  it('calls a good key VALID', () => {
    expect(judgeKey(aKey({ permissions }), ['tunnels:read'], undefined, NOW)).toBe('VALID')
  })

  it('checks in the published order', () => {
    const faults = {
      sunsetAt: later(-1),
      enabled: false,
      expiresAt: later(-1),
      allowedIps: ['192.0.2.0/24'],
    }
    const judge = (fields: object) =>
      judgeKey(aKey({ permissions, ...faults, ...fields }), ['org:manage'], '203.0.113.7', NOW)
    const mended = {}
    const mend = (fields: object) => judge(Object.assign(mended, fields))
    expect(judge({})).toBe('NOT_FOUND')
    expect(mend({ sunsetAt: undefined })).toBe('DISABLED')
    expect(mend({ enabled: true })).toBe('EXPIRED')
    expect(mend({ expiresAt: undefined })).toBe('FORBIDDEN_IP')
    expect(mend({ allowedIps: [] })).toBe('INSUFFICIENT_PERMISSIONS')
  })

  it('switches all keys of a suspended account off, whatever else they are', () => {
    const owner = { status: 'suspended' } as const
    expect(judgeKey(aKey({}, owner), [], undefined, NOW)).toBe('DISABLED')
    expect(judgeKey(aKey({ expiresAt: NOW }, owner), ['org:manage'], '192.0.2.1', NOW)).toBe('DISABLED')
    expect(judgeKey(aKey({ sunsetAt: NOW }, owner), [], undefined, NOW)).toBe('NOT_FOUND')
  })

  it.each([
    ['a key', 'expiresAt', 'EXPIRED'],
    ['an old secret', 'sunsetAt', 'NOT_FOUND'],
  ])('ends %s at its very moment', (_, field, code) => {
    expect(judgeKey(aKey({ [field]: later(1) }), [], undefined, NOW)).toBe('VALID')
    expect(judgeKey(aKey({ [field]: NOW }), [], undefined, NOW)).toBe(code)
  })

  it("ends a session's key with its session, at the very moment", () => {
    expect(judgeKey(aKey({}, { expiresAt: later(1) }), [], undefined, NOW)).toBe('VALID')
    expect(judgeKey(aKey({}, { expiresAt: NOW }), [], undefined, NOW)).toBe('NOT_FOUND')
  })

  it("cuts a key to what its owner has now: an admin's key after the admin is none any more", () => {
    const all = { permissions: [...scopesOfRole('admin')] }
    expect(judgeKey(aKey(all, admin), ['users:manage'], undefined, NOW)).toBe('VALID')
    expect(judgeKey(aKey(all), ['users:manage'], undefined, NOW)).toBe('INSUFFICIENT_PERMISSIONS')
    expect(aKey(all).scopes).toEqual(new Set(scopesOfRole('user')))
  })

  it('never gives a key more than it was made with, whoever owns it', () => {
    expect(judgeKey(aKey({ permissions }, admin), ['tunnels:write'], undefined, NOW)).toBe(
      'INSUFFICIENT_PERMISSIONS',
    )
    expect(judgeKey(aKey({ permissions: [] }, admin), [], undefined, NOW)).toBe('VALID')
  })

  it('needs all of the scopes that are asked for', () => {
    const key = aKey({ permissions })
    expect(judgeKey(key, ['tunnels:read', 'keys:manage'], undefined, NOW)).toBe('VALID')
    expect(judgeKey(key, ['tunnels:read', 'tunnels:write'], undefined, NOW)).toBe('INSUFFICIENT_PERMISSIONS')
  })
})

describe('where a key may be used from', () => {
  const allowedIps = ['192.0.2.0/24', '2001:db8:7::/48']
  const judge = (address: string | undefined) => judgeKey(aKey({ allowedIps }), [], address, NOW)

  it.each([
    '192.0.2.7',
    '::ffff:192.0.2.7',
    '::FFFF:C000:0207',
    '0:0:0:0:0:ffff:192.0.2.7',
    '2001:db8:7::1',
    '2001:DB8:7:0:0:0:0:1',
  ])('is %s', (address) => expect(judge(address)).toBe('VALID'))

  it.each([
    undefined,
    '',
    'localhost',
    '203.0.113.7',
    '::1',
    '2001:db8:8::1',
    // IPv4 in what is not IPv6's form of it: IPv4-compatible, NAT64, 6to4.
    '::192.0.2.7',
    '64:ff9b::192.0.2.7',
    '2002:c000:0207::1',
    // What is no address, whatever parser would make one of it.
    ' 192.0.2.7',
    '192.0.2.7 ',
    '192.0.2.7, 203.0.113.7',
    '203.0.113.7, 192.0.2.7',
    '192.0.2.7:80',
    '[2001:db8:7::1]',
    '192.0.2.0/24',
    '192.0.2',
    '0300.0.2.7',
    '0xc0.0.2.7',
    '3221225991',
    '192.0.2.7\0',
  ])('is not %j', (address) => expect(judge(address)).toBe('FORBIDDEN_IP'))

  it('is, for an address with a zone, where the address itself is', () => {
    const key = aKey({ allowedIps: ['fe80::/10'] })
    expect(judgeKey(key, [], 'fe80::1%eth0', NOW)).toBe('VALID')
    expect(judge('2001:db8:8::1%192.0.2.7')).toBe('FORBIDDEN_IP')
  })

  it('is nowhere for a key whose networks cannot be read', () => {
    for (const allowed of ['', 'everywhere', '0.0.0.0/33'])
      expect(judgeKey(aKey({ allowedIps: [allowed] }), [], '192.0.2.7', NOW)).toBe('FORBIDDEN_IP')
  })
})
