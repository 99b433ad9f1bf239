import { createPrivateKey } from 'node:crypto'
import { createIdentitySigner, newKeyPair } from '@instatunnel/test/identity'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { createServiceSigner, createServiceVerifier } from './service-identity.ts'

const [auth, keys, stranger] = [newKeyPair(), newKeyPair(), newKeyPair()]
const publicKeys = { auth: auth.publicKey, keys: keys.publicKey }
const START = new Date('2026-07-01T12:00:00Z')

/** auth signs, keys verifies, by one clock. */
function setUp({ signer = 'auth', privateKey = auth.privateKey, verifier = 'keys' } = {}) {
  const clock = { now: START }
  const now = () => clock.now
  return {
    sign: createServiceSigner({ service: signer, privateKey, now }),
    verify: createServiceVerifier({ service: verifier, publicKeys, now }),
    pass: (ms: number) => {
      clock.now = new Date(clock.now.getTime() + ms)
    },
  }
}

const servicesOnly = { reason: 'SERVICES_ONLY', message: 'Only services of the platform may call this' }

describe('createServiceVerifier', () => {
  it('tells which service is calling', async () => {
    const { sign, verify } = setUp()
    expect(await verify(await sign('keys'))).toBe('auth')
  })

  it('refuses a token that was made for another service', async () => {
    const { sign, verify } = setUp()
    await expect(verify(await sign('tunnels'))).rejects.toMatchObject(servicesOnly)
  })

  it('refuses a service that it does not know', async () => {
    const { sign, verify } = setUp({ signer: 'stranger', privateKey: stranger.privateKey })
    await expect(verify(await sign('keys'))).rejects.toMatchObject(servicesOnly)
  })

  it.each([
    ["a stranger's", stranger],
    ["another service's", keys],
  ])("refuses a token in auth's name under %s key", async (_, { privateKey }) => {
    const { sign, verify } = setUp({ signer: 'auth', privateKey })
    await expect(verify(await sign('keys'))).rejects.toMatchObject(servicesOnly)
  })

  it('refuses a token that is over, also one that it has met, as a fault of our clocks', async () => {
    for (const isKnown of [true, false]) {
      const { sign, verify, pass } = setUp()
      const token = await sign('keys')
      if (isKnown) await verify(token)
      pass(89_999)
      expect(await verify(token)).toBe('auth')
      pass(1)
      // Which tells the service what time it is here.
      const time = new Date(START.getTime() + 90_000)
      await expect(verify(token)).rejects.toMatchObject({ reason: 'CLOCKS_DIFFER', details: { time } })
    }
  })

  it("refuses a user's identity, though auth's own key had signed it", async () => {
    const identities = createIdentitySigner({ now: () => START })
    const { verify } = setUp()
    await expect(verify(await identities.sign('user_1'))).rejects.toMatchObject(servicesOnly)
  })

  const signed = (
    header: { alg: string; typ?: string },
    key: Parameters<SignJWT['sign']>[0],
    expires = true,
  ) => {
    const jwt = new SignJWT().setProtectedHeader(header).setIssuer('auth').setAudience('keys')
    if (expires) jwt.setExpirationTime(Math.floor(START.getTime() / 1000) + 60)
    return jwt.sign(key)
  }
  const authKey = createPrivateKey(auth.privateKey)

  it('takes the one that the next ones differ from', async () => {
    expect(await setUp().verify(await signed({ alg: 'EdDSA', typ: 'service+jwt' }, authKey))).toBe('auth')
  })

  it.each([
    ['another type', () => signed({ alg: 'EdDSA', typ: 'identity+jwt' }, authKey)],
    ['no type', () => signed({ alg: 'EdDSA' }, authKey)],
    ['no expiry', () => signed({ alg: 'EdDSA', typ: 'service+jwt' }, authKey, false)],
    [
      'the public key as an HMAC secret',
      () => signed({ alg: 'HS256', typ: 'service+jwt' }, Buffer.from(auth.publicKey)),
    ],
    [
      'alg none',
      async () => {
        const [, payload] = (await signed({ alg: 'EdDSA', typ: 'service+jwt' }, authKey)).split('.')
        const header = Buffer.from('{"alg":"none","typ":"service+jwt"}').toString('base64url')
        return `${header}.${payload}.`
      },
    ],
  ])('refuses a token with %s', async (_, forge) => {
    await expect(setUp().verify(await forge())).rejects.toMatchObject(servicesOnly)
  })

  it.each(['', 'a.b.c', 'eyJ', '{"iss":"auth"}', '__proto__'])('refuses %j', async (token) => {
    await expect(setUp().verify(token)).rejects.toMatchObject(servicesOnly)
  })
})

describe('createServiceSigner', () => {
  it('uses a token again for half its life', async () => {
    const { sign, verify, pass } = setUp()
    const first = await sign('keys')
    pass(29_999)
    expect(await sign('keys')).toBe(first)
    pass(1)
    const second = await sign('keys')
    expect(second).not.toBe(first)
    expect(await verify(second)).toBe('auth')
  })

  it('signs anew where the clock was set back', async () => {
    const { sign, verify, pass } = setUp()
    pass(120_000)
    await sign('keys')
    pass(-120_000)
    expect(await verify(await sign('keys'))).toBe('auth')
  })

  it('signs for each neighbour apart', async () => {
    const { sign } = setUp()
    expect(await sign('keys')).not.toBe(await sign('tunnels'))
  })
})
