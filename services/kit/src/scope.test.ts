import { describe, expect, it } from 'vitest'
import { expandScope, expandScopes, isScope, missingScope, SCOPES, scopesOfRole } from './scope.ts'

const ADMIN_ONLY = ['admin:read', 'admin:write', 'org:manage', 'users:manage']

describe('SCOPES', () => {
  it('are the sixteen, sorted', () => {
    expect(SCOPES).toHaveLength(16)
    expect([...SCOPES].sort()).toEqual(SCOPES)
  })
})

describe('scopesOfRole', () => {
  it('gives an admin all of them', () => {
    expect(scopesOfRole('admin')).toEqual(SCOPES)
  })

  it('gives a user all but those over other people', () => {
    expect(scopesOfRole('user')).toEqual(SCOPES.filter((scope) => !ADMIN_ONLY.includes(scope)))
    expect(scopesOfRole('user')).toHaveLength(12)
  })
})

describe('expandScope', () => {
  it.each([
    ['*', SCOPES],
    ['tunnels:*', ['tunnels:delete', 'tunnels:read', 'tunnels:stats', 'tunnels:write']],
    ['keys:*', ['keys:manage']],
    ['tunnels:read', ['tunnels:read']],
  ])('expands %j', (pattern, scopes) => {
    expect(expandScope(pattern)).toEqual(scopes)
  })

  it.each([
    '',
    ':*',
    '*:*',
    '**',
    '*:read',
    'tun*',
    'tunnels',
    'tunnels:',
    'tunnels:*:*',
    'tunnels:re',
    'Tunnels:read',
    ' tunnels:read',
    'tunnels:read\n',
    'toString',
    '__proto__',
  ])('finds no scope in %j', (pattern) => {
    expect(expandScope(pattern)).toEqual([])
    expect(isScope(pattern)).toBe(false)
  })
})

describe('expandScopes', () => {
  it('gives each scope once, sorted, whatever is asked for and in whatever order', () => {
    expect(expandScopes(['tunnels:write', 'tunnels:*', 'account:read', 'nonsense', 'account:read'])).toEqual([
      'account:read',
      'tunnels:delete',
      'tunnels:read',
      'tunnels:stats',
      'tunnels:write',
    ])
    expect(expandScopes([])).toEqual([])
    expect(expandScopes(['tunnels:read', '*'])).toEqual(SCOPES)
  })
})

describe('missingScope', () => {
  it('names the first that is not held', () => {
    const held = new Set(['tunnels:read', 'keys:manage'])
    expect(missingScope(['tunnels:read', 'tunnels:write', 'org:manage'], held)).toBe('tunnels:write')
    expect(missingScope(['keys:manage', 'tunnels:read'], held)).toBeUndefined()
    expect(missingScope([], new Set())).toBeUndefined()
  })
})
