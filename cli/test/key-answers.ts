import type { Key } from '../src/calls/keys.ts'

const DAY_MS = 86_400_000

/** A time so many days from now, as the API writes it; half a minute more, so that a slow test still rounds to it. */
export const inDays = (days: number) =>
  new Date(Date.now() + days * DAY_MS + 30_000 * Math.sign(days)).toISOString()

/** A key as the API shows one that nothing was said about but its name. */
export const plainKey: Key = {
  id: 'key_01h00000000000000000000001',
  name: 'CI/CD Key',
  key: 'it_***...def',
  prefix: 'it_',
  start: 'it_ab',
  key_prefix: 'it_ab',
  user_id: 'user_01h00000000000000000000001',
  permissions: ['tunnels:read', 'analytics:read'],
  enabled: true,
  metadata: {},
  created_at: '2026-03-01T12:00:00Z',
  updated_at: '2026-03-02T12:00:00Z',
  request_count: 0,
  state: 'active',
  rate_limit_enabled: true,
  allowed_ips: [],
  allowed_subdomains: [],
  // Left out of the JSON.
  expires_at: undefined,
  last_used: undefined,
  last_used_at: undefined,
  last_request: undefined,
  last_refill_at: undefined,
  revoked_at: undefined,
  restorable_until: undefined,
}

/** A key with all that can be said about one. */
export const fullKey = (): Key => ({
  ...plainKey,
  session_id: 'ses_01h00000000000000000000001',
  state: 'revoked',
  metadata: { team: 'docs', nested: { level: 2 } },
  expires_at: inDays(30),
  last_used: inDays(-3),
  last_used_at: inDays(-3),
  last_request: inDays(-3),
  request_count: 1234,
  remaining: 97,
  refill_amount: 100,
  refill_interval: 3_600_000,
  last_refill_at: inDays(-4),
  rate_limit_time_window: 60_000,
  rate_limit_max: 10,
  allowed_ips: ['203.0.113.0/24', '2001:db8::/32'],
  allowed_subdomains: ['docs-*', 'api-?'],
  revoked_at: inDays(-5),
  revoked_reason: 'no longer in use',
  restorable_until: inDays(2),
  old_secret: {
    key: 'it_***...abc',
    rotated_at: inDays(-6),
    ends_at: inDays(7),
    last_used_at: inDays(-8),
  },
})
