import { SCOPES, scopesOfRole } from '@instatunnel/kit/scope'
import { expect, it } from 'vitest'
import { folded } from './permissions.ts'

it.each([
  [
    ['analytics:read', 'tunnels:delete', 'tunnels:read', 'tunnels:stats', 'tunnels:write'],
    'tunnels:*, analytics:read',
  ],
  [['tunnels:read', 'tunnels:write'], 'tunnels:read, tunnels:write'],
  [['keys:manage', 'alerts:read'], 'alerts:read, keys:manage'],
  [
    scopesOfRole('user'),
    'tunnels:*, analytics:read, logs:read, alerts:*, account:*, billing:read, keys:manage',
  ],
  [SCOPES, '*'],
  [['*'], '*'],
  [['tunnels:*', 'analytics:*', 'tunnels:read'], 'tunnels:*, analytics:read'],
  [['webhooks:read', 'tunnels:read'], 'tunnels:read, webhooks:read'],
  [[], ''],
])('%j is shown as "%s"', (scopes, shown) => {
  expect(folded(scopes).join(', ')).toBe(shown)
})
