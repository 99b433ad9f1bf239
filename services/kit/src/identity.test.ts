import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createIdentitySigner, newKeyPair } from '@instatunnel/test/identity'
import { SignJWT, UnsecuredJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { createIdentityVerifier, IDENTITY_TOKEN, isBounded } from './identity.ts'
import { createServiceSigner } from './service-identity.ts'
import type { PublicKey } from './token-verifier.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const seconds = (n: number) => Math.floor(NOW.getTime() / 1000) + n

/** A verifier that trusts `signer`, with a clock to turn and a count of how often the keys were asked for. */
function setUp(keys?: () => Promise<PublicKey[]>) {
  const clock = { now: NOW }
  const signer = createIdentitySigner({ now: () => clock.now })
  const asked = { times: 0 }
  const listKeys = async () => {
    asked.times++
    return keys ? keys() : signer.keys
  }
  const verify = createIdentityVerifier({ listKeys, now: () => clock.now })
  const pass = (ms: number) => {
    clock.now = new Date(clock.now.getTime() + ms)
  }
  return { signer, verify, asked, pass }
}

const invalid = { reason: 'CREDENTIAL_INVALID', message: 'Invalid identity' }
const clocksDiffer = {
  reason: 'CLOCKS_DIFFER',
  message: 'The clocks of our services differ right now; try again shortly',
  details: { retryAfterSeconds: 1 },
}

/** A token with one thing about it changed. */
interface Forgery {
  header?: Record<string, unknown>
  issuer?: string
  audience?: string
  subject?: string
  expiresAt?: number
}

const forge = (
  { header, issuer, audience, subject, expiresAt }: Forgery,
  key: Parameters<SignJWT['sign']>[0],
) => {
  const jwt = new SignJWT({
    scopes: ['tunnels:read'],
    plan: 'free',
    role: 'user',
    credential: { type: 'session', id: 's' },
  })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'identity+jwt', kid: 'identity_test', ...header })
    .setIssuer(issuer ?? 'instatunnel-auth')
    .setAudience(audience ?? 'instatunnel-services')
    .setExpirationTime(expiresAt ?? seconds(60))
  if (subject !== '') jwt.setSubject(subject ?? 'user_1')
  return jwt.sign(key)
}

describe('createIdentityVerifier', () => {
  it('tells who is calling', async () => {
    const { signer, verify } = setUp()
    const token = await signer.sign('user_1', {
      scopes: ['tunnels:read', 'keys:manage'],
      plan: 'pro',
      role: 'admin',
      credential: { type: 'api_key', id: 'key_1', masked: 'it_***...def' },
    })
    expect(await verify(token)).toEqual({
      userId: 'user_1',
      scopes: new Set(['tunnels:read', 'keys:manage']),
      plan: 'pro',
      role: 'admin',
      credential: { type: 'api_key', id: 'key_1', masked: 'it_***...def' },
    })
  })

  it('takes the forged ones below where nothing about them is changed', async () => {
    const { signer, verify } = setUp()
    await expect(verify(await forge({}, signer.privateKey))).resolves.toMatchObject({ userId: 'user_1' })
  })

  it.each<[string, Forgery]>([
    ["a session's type", { header: { typ: 'session+jwt' } }],
    ["a service's type", { header: { typ: 'service+jwt' } }],
    ['no type', { header: { typ: undefined } }],
    ['another audience', { audience: 'instatunnel' }],
    ['another issuer', { issuer: 'keys' }],
    ['an unknown kid', { header: { kid: 'identity_other' } }],
    ['no kid', { header: { kid: undefined } }],
    ['no subject', { subject: '' }],
  ])('refuses a token with %s, well signed as it is', async (_, change) => {
    const { signer, verify } = setUp()
    await expect(verify(await forge(change, signer.privateKey))).rejects.toMatchObject(invalid)
  })

  it('refuses a token without an expiry', async () => {
    const { signer, verify } = setUp()
    const token = await new SignJWT({ scopes: ['tunnels:read'] })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'identity+jwt', kid: 'identity_test' })
      .setIssuer('instatunnel-auth')
      .setAudience('instatunnel-services')
      .setSubject('user_1')
      .sign(signer.privateKey)
    await expect(verify(token)).rejects.toMatchObject(invalid)
  })

  it("refuses a token that somebody else's key signed", async () => {
    const { verify } = setUp()
    const { privateKey } = generateKeyPairSync('ed25519')
    await expect(verify(await forge({}, privateKey))).rejects.toMatchObject(invalid)
  })

  it('refuses a token with alg none', async () => {
    const { verify } = setUp()
    const [, payload] = new UnsecuredJWT({ scopes: ['admin:write'] })
      .setIssuer('instatunnel-auth')
      .setAudience('instatunnel-services')
      .setSubject('user_1')
      .setExpirationTime(seconds(60))
      .encode()
      .split('.')
    for (const alg of ['none', 'None', 'NONE']) {
      const header = Buffer.from(JSON.stringify({ alg, typ: 'identity+jwt', kid: 'identity_test' }))
      await expect(verify(`${header.toString('base64url')}.${payload}.`)).rejects.toMatchObject(invalid)
    }
  })

  it('refuses a token that was signed with the public key as an HMAC secret', async () => {
    const { signer, verify } = setUp()
    const secret = Buffer.from(signer.keys[0]?.publicKey as string)
    for (const alg of ['HS256', 'HS512']) {
      await expect(verify(await forge({ header: { alg } }, secret))).rejects.toMatchObject(invalid)
    }
  })

  it('refuses a token whose claims were changed after signing', async () => {
    const { signer, verify } = setUp()
    const [header, payload = '', signature] = (await signer.sign('user_1')).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'user_2' })).toString('base64url')
    await expect(verify(`${header}.${changed}.${signature}`)).rejects.toMatchObject(invalid)
  })

  it("refuses a service's own token", async () => {
    const pair = newKeyPair()
    const keys = async () => [{ kid: 'identity_test', publicKey: pair.publicKey }]
    const { verify } = setUp(keys)
    const sign = createServiceSigner({ service: 'keys', privateKey: pair.privateKey, now: () => NOW })
    await expect(verify(await sign(IDENTITY_TOKEN.audience))).rejects.toMatchObject(invalid)
  })

  it.each(['', '.', '..', 'a.b.c', 'eyJ', 'eyJhbGciOiJFZERTQSJ9', '🦦', 'x'.repeat(100_000)])(
    'refuses %j',
    async (token) => {
      await expect(setUp().verify(token)).rejects.toMatchObject(invalid)
    },
  )

  it('takes a token by a clock that is half a minute off, known or not', async () => {
    for (const isKnown of [true, false]) {
      const { signer, verify, pass } = setUp()
      const token = await signer.sign('user_1')
      if (isKnown) await verify(token)
      pass(89_999)
      await expect(verify(token)).resolves.toMatchObject({ userId: 'user_1' })
    }
    const { signer, verify, pass } = setUp()
    const token = await signer.sign('user_1')
    pass(-30_000)
    await expect(verify(token)).resolves.toMatchObject({ userId: 'user_1' })
  })

  it.each([
    ['ahead', 90_000],
    ['behind', -30_001],
  ])(
    'says that our clocks differ, and not that the token is wrong, by one that is further %s',
    async (_, ms) => {
      for (const isKnown of [true, false]) {
        const { signer, verify, pass } = setUp()
        const token = await signer.sign('user_1')
        if (isKnown) await verify(token)
        pass(ms)
        if (isKnown && ms < 0) continue // it was good once, and still is
        await expect(verify(token)).rejects.toMatchObject(clocksDiffer)
        // That is not remembered: by a clock that is right again the same token is good.
        pass(-ms)
        await expect(verify(token)).resolves.toMatchObject({ userId: 'user_1' })
      }
    },
  )

  it('says of a forged one that it is wrong, whatever its time', async () => {
    const { verify } = setUp()
    const { privateKey } = generateKeyPairSync('ed25519')
    await expect(verify(await forge({ expiresAt: seconds(-90) }, privateKey))).rejects.toMatchObject(invalid)
  })

  it('asks for the keys when an unknown one comes, and learns a new one', async () => {
    const [old, young] = [
      createIdentitySigner({ kid: 'a', now: () => NOW }),
      createIdentitySigner({ kid: 'b', now: () => NOW }),
    ]
    const published = [...old.keys]
    const { verify, asked, pass } = setUp(async () => published)
    await verify(await old.sign('user_1', {}, 1e9))
    published.push(...young.keys)
    pass(1001)
    await expect(verify(await young.sign('user_2', {}, 1e9))).resolves.toMatchObject({ userId: 'user_2' })
    expect(asked.times).toBe(2)
  })

  it('asks once for many callers at a time', async () => {
    const { signer, verify, asked } = setUp()
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => signer.sign(`user_${i}`)))
    await Promise.all(tokens.map(verify))
    expect(asked.times).toBe(1)
  })

  it('lets made-up kids ask no more than once a second', async () => {
    const { verify, asked, pass } = setUp()
    const madeUp = () => {
      const header = Buffer.from(JSON.stringify({ alg: 'EdDSA', kid: randomBytes(8).toString('hex') }))
      return verify(`${header.toString('base64url')}.e30.AAAA`).catch(() => {})
    }
    for (let i = 0; i < 100; i++) await madeUp()
    await Promise.all(Array.from({ length: 100 }, madeUp))
    expect(asked.times).toBe(1)
    pass(1000)
    await madeUp()
    expect(asked.times).toBe(1)
    pass(1)
    await madeUp()
    expect(asked.times).toBe(2)
  })

  it('says that auth is away, and not that the token is wrong, while the keys cannot be had', async () => {
    const away = Object.assign(new Error('No connection established'), { code: 14 })
    let isAway = true
    const signer = createIdentitySigner({ now: () => NOW })
    const { verify } = setUp(async () => (isAway ? Promise.reject(away) : signer.keys))
    const token = await signer.sign('user_1', {}, 1e9)
    await expect(verify(token)).rejects.toBe(away)
    isAway = false
    await expect(verify(token)).resolves.toMatchObject({ userId: 'user_1' })
  })
})

describe('isBounded', () => {
  const type = 'api_key'
  it.each([{ networks: ['192.0.2.0/24'] }, { counted: true as const }, { expiresAt: 1 }])(
    'is a key with %j',
    (held) => expect(isBounded({ type, ...held })).toBe(true),
  )

  it('is no key without, or with subdomains alone, and no session', () => {
    expect(isBounded({ type })).toBe(false)
    expect(isBounded({ type, subdomains: ['docs-*'] })).toBe(false)
    expect(isBounded({ type: 'session', expiresAt: 1 })).toBe(false)
  })
})
