import { digestOf } from '@instatunnel/kit/secret'
import { afterAll, describe, expect, it } from 'vitest'
import type { Checked } from '../test/check.ts'
import type { Metering } from '../test/meters.ts'
import { startAuth } from '../test/start-auth.ts'

// Check and VerifyKey are one decision: two keys of the same make, one of them called with and the other verified, get
// the same codes, and have the same left, whatever is asked and however time passes.

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed + 1)
const ASKS = 10
const SECOND = 1000

const clock = { now: new Date('2026-07-01T12:00:00Z') }
const auth = await startAuth({}, { now: () => clock.now })
afterAll(() => auth.close())
const { id: userId } = await auth.register()

/** An rpc that needs each scope, and whether VerifyKey is asked for it. */
const PROBES = [
  ['tunnels:read', '/instatunnel.tunnels.v1.TunnelService/ListTunnels'],
  ['tunnels:write', '/instatunnel.tunnels.v1.TunnelService/CreateTunnel'],
  ['keys:manage', '/instatunnel.keys.v1.ApiKeyService/ListKeys'],
  ['account:write', '/instatunnel.auth.v1.AuthService/UpdateUser'],
  ['users:manage', '/instatunnel.auth.v1.AdminService/ListUsers'],
  ['', '/instatunnel.auth.v1.AuthService/WhoAmI'],
] as const
const PERMISSIONS = ['tunnels:read', 'tunnels:write', 'tunnels:*', 'keys:manage', 'account:write', '*']
const NETWORKS = ['192.0.2.0/24', '2001:db8::/32', '203.0.113.7/32']
const ADDRESSES = ['192.0.2.9', '203.0.113.7', '::ffff:192.0.2.9', '2001:db8::1', '198.51.100.1', undefined]

/** Numbers that are the same for the same seed (mulberry32). */
function randomOf(seed: number) {
  let state = seed * 0x9e3779b9
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    isOnceIn: (times: number) => below(times) === 0,
    oneOf: <T>(list: readonly T[]): T => list[below(list.length)] as T,
    someOf: <T>(list: readonly T[]): T[] => list.filter(() => below(2) === 0),
  }
}
type Random = ReturnType<typeof randomOf>

const soon = (random: Random) => new Date(clock.now.getTime() + random.below(60) * SECOND)

function randomKey(random: Random) {
  const isOld = random.isOnceIn(4)
  return {
    userId,
    enabled: !random.isOnceIn(10),
    expiresAt: random.isOnceIn(4) ? soon(random) : undefined,
    permissions: random.someOf(PERMISSIONS),
    allowedIps: random.isOnceIn(3) ? random.someOf(NETWORKS) : [],
    deprecatedAt: isOld ? clock.now : undefined,
    sunsetAt: isOld ? soon(random) : undefined,
  }
}

function randomMetering(random: Random): Metering & { rateLimitEnabled: boolean; isMetered: boolean } {
  const rateLimitEnabled = !random.isOnceIn(4)
  const remaining = random.isOnceIn(2) ? random.below(5) : undefined
  const hasWindow = rateLimitEnabled && random.isOnceIn(2)
  const refills = remaining !== undefined && random.isOnceIn(2)
  return {
    rateLimitEnabled,
    isMetered: remaining !== undefined || hasWindow,
    remaining,
    refill: refills
      ? { amount: 1 + random.below(3), intervalMs: (5 + random.below(40)) * SECOND }
      : undefined,
    window: hasWindow ? { max: 1 + random.below(3), ms: (1 + random.below(30)) * SECOND } : undefined,
  }
}

/** Check's answer as VerifyKey would say it; a 401 may be any of those that it does not tell apart. */
function codesOf(checked: Checked): readonly string[] {
  if (checked.admitted) return ['VALID']
  const { status, body } = checked
  if (status === 401) return ['NOT_FOUND', 'DISABLED', 'EXPIRED']
  if (status === 403) return [body.required_scope ? 'INSUFFICIENT_PERMISSIONS' : 'FORBIDDEN_IP']
  return [body.error === 'usage_exceeded' ? 'USAGE_EXCEEDED' : 'RATE_LIMITED']
}
const retryAfterOf = (checked: Checked) => (checked.admitted ? undefined : checked.body.retry_after)

describe('Check and VerifyKey', () => {
  const seen = new Map<string, number>()

  it.each(SEEDS)('agree in code, in when to come back and in what is left (%i)', async (seed) => {
    const random = randomOf(seed)
    const fields = randomKey(random)
    const { rateLimitEnabled, isMetered, ...metering } = randomMetering(random)
    const { window } = metering
    const counted = {
      rateLimitMax: window?.max,
      rateLimitTimeWindow: window?.ms,
      rateLimitEnabled,
      isMetered,
    }
    const [called, verified] = [0, 1].map(() => {
      const made = auth.neighbours.addKey({ ...fields, ...counted })
      if (isMetered) auth.neighbours.meters.meter(made.key.id, metering)
      return made
    }) as [ReturnType<typeof auth.neighbours.addKey>, ReturnType<typeof auth.neighbours.addKey>]

    /** What both have left, once what was leased is given back. */
    const left = async () => {
      if (!isMetered) return undefined
      const keyIds = [called, verified].map(({ key }) => key.id)
      const looks = keyIds.map((keyId) =>
        auth.internal.explainKey({ keyId, method: 'GET', path: '/v1/tunnels' }),
      )
      await Promise.all(looks)
      const [one, other] = keyIds.map(auth.neighbours.meters.leftOf)
      expect(one).toEqual(other)
      return one
    }

    for (let n = 0; n < ASKS; n++) {
      const before = await left()
      const [scope, method] = random.oneOf(PROBES)
      const address = random.oneOf(ADDRESSES)
      const checked = await auth.check(method, { bearer: called.secret, address: address ?? null })
      const { code, retryAfter } = await auth.internal.verifyKey({
        digest: digestOf(verified.secret),
        permissions: scope === '' ? [] : [scope],
        ...(address === undefined ? {} : { address }),
      })
      expect(codesOf(checked)).toContain(code)
      expect(retryAfterOf(checked)).toBe(retryAfter)
      seen.set(code, (seen.get(code) ?? 0) + 1)

      const after = await left()
      const spent = code === 'VALID' ? 1 : 0
      if (before?.remaining !== undefined) expect(after?.remaining).toBe(before.remaining - spent)
      if (before?.window !== undefined) expect(after?.window).toBe(before.window - spent)
      clock.now = new Date(clock.now.getTime() + random.below(4) * 3 * SECOND)
    }
  })

  it('have met every code', () => {
    expect([...seen.keys()].sort()).toEqual([
      'DISABLED',
      'EXPIRED',
      'FORBIDDEN_IP',
      'INSUFFICIENT_PERMISSIONS',
      'NOT_FOUND',
      'RATE_LIMITED',
      'USAGE_EXCEEDED',
      'VALID',
    ])
  })
})
