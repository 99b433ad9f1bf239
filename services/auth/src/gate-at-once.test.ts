import { generateKeyPairSync } from 'node:crypto'
import { plansSetting } from '@instatunnel/kit/plans'
import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { createRestRoutes } from '@instatunnel/kit/rest-routes'
import { descriptorsFile, readRules } from '@instatunnel/kit/rules'
import { digestOf } from '@instatunnel/kit/secret'
import { describe, expect, it } from 'vitest'
import { aKey } from '../test/known-key.ts'
import { createCheckedAddresses } from './domain/checked-address.ts'
import { createSessionCookie } from './domain/cookie.ts'
import type { KeyUses, Taken } from './domain/key-use.ts'
import { createSlidingWindows } from './domain/sliding-window.ts'
import { createGate, type GateOptions } from './gate.ts'
import { keyIdOfSecret } from './known-keys.ts'
import { createSignInTurns } from './sign-in-turns.ts'

const LIST_TUNNELS = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
const LOGIN = '/instatunnel.auth.v1.AuthService/Login'
const SECRET = 'it_0123456789abcdef'
const NOW = new Date('2026-07-01T12:00:00Z')
const attempt = { authorization: `Bearer ${SECRET}`, address: '203.0.113.7' }
const { privateKey } = generateKeyPairSync('ed25519')

/** A gate that knows one key, and nothing else that it could ask. */
function gateKnowing(key = aKey(), take: KeyUses['take'] = () => ({ code: 'VALID' })) {
  const used: string[] = []
  const windows = createSlidingWindows(60_000)
  const gate = createGate({
    rules: readRules(descriptorsFile()),
    routeOf: createRestRoutes(readRestBindings(descriptorsFile())),
    memory: { keys: { find: (id: string) => (id === keyIdOfSecret(SECRET) ? key : undefined) } },
    signingKeys: { signing: () => ({ kid: 'identity_1', privateKey }) },
    usage: { used: ({ id }: { id: string }) => used.push(id) },
    uses: { take },
    windows,
    signInTurn: createSignInTurns({
      deviceCookie: { read: () => [] },
      deviceAccountOf: () => undefined,
      homes: { has: () => false },
    }),
    cookie: createSessionCookie('http://localhost:8080'),
    checkedAddresses: createCheckedAddresses(Buffer.alloc(32, 1)),
    limits: { auth: 10, read: 2, write: 2, connect: 10, plans: plansSetting.parse('{}') },
    now: () => NOW,
  } as unknown as GateOptions)
  const ownerLeft = () => windows.look(`read:${key.owner.userId}`, 2, NOW).remaining
  return { gate, used, windows, ownerLeft }
}

describe('what the gate knows it decides at once', () => {
  it('a key, its limit and its identity', () => {
    const { gate, used } = gateKnowing()
    const decision = gate.decide(LIST_TUNNELS, attempt)
    expect(decision).toEqual({
      identity: expect.stringMatching(/^eyJ/),
      rate: { admitted: true, limit: 2, remaining: 1, resetSeconds: 60 },
    })
    expect(gate.decide(LIST_TUNNELS, attempt)).toMatchObject({
      identity: (decision as { identity: string }).identity,
    })
    expect(used).toHaveLength(2)
  })

  it('a use of it that is at hand', () => {
    const { gate } = gateKnowing(aKey({ isMetered: true }))
    expect(gate.decide(LIST_TUNNELS, attempt)).toMatchObject({ identity: expect.any(String) })
    expect(gate.verifyKey(digestOf(SECRET), [], undefined)).toEqual({
      code: 'VALID',
    })
  })

  it('every refusal', () => {
    const reasonOf = (key = aKey(), taken: Taken = { code: 'VALID' }, bearer = SECRET) =>
      gateKnowing(key, () => taken).gate.decide(LIST_TUNNELS, {
        ...attempt,
        authorization: `Bearer ${bearer}`,
      })
    const metered = aKey({ isMetered: true })
    expect([
      reasonOf(aKey(), undefined, 'it_0123456789abcdeg'),
      reasonOf(aKey({ enabled: false })),
      reasonOf(aKey({ allowedIps: ['192.0.2.0/24'] })),
      reasonOf(aKey({ permissions: ['logs:read'] })),
      reasonOf(metered, { code: 'RATE_LIMITED', retryAfterSeconds: 1 }),
      reasonOf(metered, { code: 'USAGE_EXCEEDED' }),
    ]).toMatchObject(
      [
        'CREDENTIAL_INVALID',
        'CREDENTIAL_INVALID',
        'ADDRESS_NOT_ALLOWED',
        'SCOPE_MISSING',
        'RATE_LIMITED',
        'USAGE_EXCEEDED',
      ].map((reason) => ({ refusal: { reason } })),
    )
  })

  it('what is nothing', () => {
    const { gate } = gateKnowing()
    expect(gate.decide('/x', {})).toMatchObject({ refusal: { reason: 'UNKNOWN_METHOD' } })
  })
})

describe('sign-ins', () => {
  it('are counted by their address; one for which there is no room is not', async () => {
    const { gate, windows } = gateKnowing()
    // Each in a network of its own: none takes another's place.
    const signIn = (host: number) => gate.decide(LOGIN, { address: `198.51.${host}.1` })
    const left = (host: number) => windows.look(`auth:198.51.${host}.1`, 10, NOW).remaining
    const admitted = Array.from({ length: 66 }, (_, host) => signIn(host))
    expect(await signIn(99)).toMatchObject({ refusal: { reason: 'PASSWORDS_BUSY' } })
    expect([left(1), left(99)]).toEqual([9, 10])
    for (const decision of await Promise.all(admitted))
      expect(decision).toMatchObject({ rate: { limit: 10, remaining: 9 } })
  })
})

describe("what the owner's window counted", () => {
  it.each([
    ['at once', () => ({ code: 'USAGE_EXCEEDED' }) as const],
    ['later', async () => ({ code: 'RATE_LIMITED', retryAfterSeconds: 1 }) as const],
    ['never, as that cannot be told', () => Promise.reject(new Error('keys is away'))],
  ])('is given back where the key is refused %s', async (_, take) => {
    const { gate, used, ownerLeft } = gateKnowing(aKey({ isMetered: true }), take)
    for (let n = 0; n < 5; n++) {
      const decided = (async () => gate.decide(LIST_TUNNELS, attempt))()
      await decided.catch((error) => expect(error.message).toBe('keys is away'))
    }
    expect(ownerLeft()).toBe(2)
    expect(used).toEqual([])
  })
})
