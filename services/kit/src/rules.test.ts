import { descriptorsWith } from '@instatunnel/test/descriptors'
import { describe, expect, it } from 'vitest'
import { descriptorsFile, readRules } from './rules.ts'

const LIST_KEYS = '/instatunnel.keys.v1.ApiKeyService/ListKeys'

describe('readRules', () => {
  const rules = readRules(descriptorsFile())

  it('reads who may call what', () => {
    expect(Object.fromEntries(rules)).toMatchObject({
      '/instatunnel.auth.v1.AuthService/Register': { kind: 'public', limit: 'auth', safe: false },
      '/instatunnel.auth.v1.AuthService/Logout': { kind: 'scope', scope: 'any', limit: 'write', safe: false },
      '/instatunnel.auth.v1.AuthService/WhoAmI': { kind: 'scope', scope: 'any', limit: 'read', safe: true },
      '/instatunnel.auth.v1.AdminService/ListUsers': { kind: 'scope', scope: 'users:manage', safe: true },
      [LIST_KEYS]: { kind: 'scope', scope: 'keys:manage', limit: 'read', safe: true },
      '/instatunnel.keys.v1.ApiKeyService/VerifyKey': { kind: 'scope', limit: 'read', safe: false },
      '/instatunnel.tunnels.v1.TunnelService/DeleteTunnel': { kind: 'scope', scope: 'tunnels:delete' },
      '/instatunnel.keys.internal.v1.KeyDirectoryService/LookUpKeys': { kind: 'internal', callers: ['auth'] },
    })
  })

  it('lets nobody but services call what is internal, and nothing else be internal', () => {
    for (const [path, { kind }] of rules) expect(kind === 'internal', path).toBe(path.includes('.internal.'))
  })

  it('opens register and login to everybody, and nothing else', () => {
    const open = [...rules].filter(([, { kind }]) => kind === 'public').map(([path]) => path)
    expect(open).toEqual([
      '/instatunnel.auth.v1.AuthService/Register',
      '/instatunnel.auth.v1.AuthService/Login',
    ])
  })

  // An rpc that changes something and calls itself safe would let any website make it with a visitor's cookie.
  it('calls safe only what reads', () => {
    for (const [path, rule] of rules) {
      if (rule.kind === 'internal') continue
      expect(rule.safe, path).toBe(/\/(Explain|Get|List|WhoAmI)\w*$/.test(path))
    }
  })

  it.each([
    ['no rule', null, `${LIST_KEYS} has no access rule`],
    ['an empty rule', {}, `${LIST_KEYS}: its rule must set one of scope, public and internal`],
    ['a rule that is only safe', { safe: true }, 'must set one of scope, public and internal'],
    [
      'a scope and public',
      { scope: 'keys:manage', public: true },
      'must set one of scope, public and internal',
    ],
    [
      'public and internal',
      { public: true, internal: ['auth'] },
      'must set one of scope, public and internal',
    ],
    [
      'a scope and internal',
      { scope: 'any', internal: ['auth'] },
      'must set one of scope, public and internal',
    ],
    ['internal, and nobody named', { internal: [] }, 'must set one of scope, public and internal'],
    [
      'a caller that is no service',
      { internal: ['auth', 'billing'] },
      `${LIST_KEYS}: "billing" is no service`,
    ],
    ['a caller without a name', { internal: [''] }, `${LIST_KEYS}: "" is no service`],
    ['a pattern of callers', { internal: ['*'] }, `${LIST_KEYS}: "*" is no service`],
    ['an unknown scope', { scope: 'keys:manag' }, `${LIST_KEYS}: "keys:manag" is no scope`],
    ['a pattern of scopes', { scope: 'keys:*' }, `${LIST_KEYS}: "keys:*" is no scope`],
    ['a scope, and the limit of addresses', { scope: 'any', limit: 'auth' }, '"auth" counts addresses'],
    ['an unknown limit', { scope: 'any', limit: 'connect' }, `${LIST_KEYS}: "connect" is no limit`],
  ])('throws for an rpc with %s, naming the rpc', async (_, rule, message) => {
    const file = await descriptorsWith({ [LIST_KEYS]: rule })
    expect(() => readRules(file)).toThrow(message)
    expect(() => readRules(file)).toThrow(LIST_KEYS)
  })

  it('reads a changed rule', async () => {
    const file = await descriptorsWith({ [LIST_KEYS]: { scope: 'admin:read', limit: 'write', safe: true } })
    expect(readRules(file).get(LIST_KEYS)).toEqual({
      kind: 'scope',
      scope: 'admin:read',
      limit: 'write',
      safe: true,
    })
  })

  it('counts a call by what it does where the rule does not say', async () => {
    const safe = await descriptorsWith({ [LIST_KEYS]: { public: true, safe: true } })
    const unsafe = await descriptorsWith({ [LIST_KEYS]: { public: true } })
    expect(readRules(safe).get(LIST_KEYS)).toMatchObject({ limit: 'read' })
    expect(readRules(unsafe).get(LIST_KEYS)).toMatchObject({ limit: 'write' })
  })
})
