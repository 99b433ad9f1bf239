import { scopesOfRole } from '@instatunnel/kit/scope'
import { describe, expect, it } from 'vitest'
import { judgeKey, type KeyFacts } from './key-verdict.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const later = (ms: number) => new Date(NOW.getTime() + ms)
const user = { role: 'user' } as const
const admin = { role: 'admin' } as const
const good: KeyFacts = {
  permissions: ['keys:manage', 'tunnels:read'],
  enabled: true,
  expiresAt: undefined,
}

describe('judgeKey', () => {
  it('gives a good key the scopes that it was made with', () => {
    expect(judgeKey(good, user, ['tunnels:read'], NOW)).toEqual({
      code: 'VALID',
      scopes: new Set(['keys:manage', 'tunnels:read']),
    })
  })

  it('checks in order: disabled, expired, insufficient', () => {
    const facts = { ...good, enabled: false, expiresAt: later(-1) }
    expect(judgeKey(facts, user, ['org:manage'], NOW).code).toBe('DISABLED')
    expect(judgeKey({ ...facts, enabled: true }, user, ['org:manage'], NOW).code).toBe('EXPIRED')
    expect(judgeKey(good, user, ['org:manage'], NOW)).toMatchObject({
      code: 'INSUFFICIENT_PERMISSIONS',
      missing: 'org:manage',
    })
  })

  it('lets a key expire at its very moment', () => {
    expect(judgeKey({ ...good, expiresAt: later(1) }, user, [], NOW).code).toBe('VALID')
    expect(judgeKey({ ...good, expiresAt: NOW }, user, [], NOW).code).toBe('EXPIRED')
  })

  it("cuts a key to what its owner has now: an admin's key after the admin is none any more", () => {
    const facts = { ...good, permissions: scopesOfRole('admin') }
    expect(judgeKey(facts, admin, ['users:manage'], NOW).code).toBe('VALID')
    const { code, scopes } = judgeKey(facts, user, ['users:manage'], NOW)
    expect(code).toBe('INSUFFICIENT_PERMISSIONS')
    expect(scopes).toEqual(new Set(scopesOfRole('user')))
  })

  it('never gives a key more than it was made with, whoever owns it', () => {
    expect(judgeKey(good, admin, ['tunnels:write'], NOW).code).toBe('INSUFFICIENT_PERMISSIONS')
    expect(judgeKey({ ...good, permissions: [] }, admin, [], NOW)).toEqual({
      code: 'VALID',
      scopes: new Set(),
    })
  })

  it('needs all of the scopes that are asked for', () => {
    expect(judgeKey(good, user, ['tunnels:read', 'keys:manage'], NOW).code).toBe('VALID')
    expect(judgeKey(good, user, ['tunnels:read', 'tunnels:write'], NOW).code).toBe('INSUFFICIENT_PERMISSIONS')
  })
})
