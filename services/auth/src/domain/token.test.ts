import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { newSession } from './session.ts'
import { identityToken, signIdentity, signSessionToken, verifySessionToken } from './token.ts'

const NOW = new Date('2026-07-01T12:00:00.999Z')
const later = (ms: number) => new Date(NOW.getTime() + ms)
const WEEK_MS = 7 * 24 * 60 * 60 * 1000
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const key = { kid: 'session_1', privateKey }
const session = newSession({ userId: 'user_1', userAgent: '', address: '' }, NOW)
const token = signSessionToken(session, key)

describe('signSessionToken', () => {
  it('says whose session it is, for as long as it lasts, and nothing else', () => {
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'session+jwt', kid: 'session_1' })
    const issuedAt = Math.floor(NOW.getTime() / 1000)
    expect(decodeJwt(token)).toEqual({
      iss: 'instatunnel-auth',
      aud: 'instatunnel',
      sub: 'user_1',
      sid: session.id,
      iat: issuedAt,
      exp: issuedAt + 604_800,
    })
  })
})

describe('verifySessionToken', () => {
  it('tells whose session it is, until it ends', async () => {
    const claims = {
      sessionId: session.id,
      userId: 'user_1',
      expiresAt: Math.floor(NOW.getTime() / 1000) + 604_800,
    }
    expect(verifySessionToken(token, publicKey, NOW)).toEqual(claims)
    expect(verifySessionToken(token, publicKey, later(WEEK_MS - 1000))).toEqual(claims)
    expect(verifySessionToken(token, publicKey, later(WEEK_MS + 60_000))).toBeUndefined()
  })

  const forged = (change: { header?: object; claims?: object; key?: Parameters<SignJWT['sign']>[0] }) => {
    const claims = { ...decodeJwt(token), ...change.claims }
    return new SignJWT(claims)
      .setProtectedHeader({ ...decodeProtectedHeader(token), ...change.header } as { alg: string })
      .sign(change.key ?? privateKey)
  }

  it('takes the forged one that nothing was changed about', async () => {
    expect(verifySessionToken(await forged({}), publicKey, NOW)).toMatchObject({ userId: 'user_1' })
  })

  it.each([
    ['an identity by its type', { header: { typ: 'identity+jwt' } }],
    ['a token without a type', { header: { typ: undefined } }],
    ["a service's audience", { claims: { aud: 'instatunnel-services' } }],
    ['another issuer', { claims: { iss: 'https://evil.example' } }],
    ['no session', { claims: { sid: undefined } }],
    ['no user', { claims: { sub: undefined } }],
    ['no end', { claims: { exp: undefined } }],
    ['an end in the past', { claims: { exp: 1 } }],
    ['another key', { key: generateKeyPairSync('ed25519').privateKey }],
    [
      'the public key as an HMAC secret',
      { header: { alg: 'HS256' }, key: Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })) },
    ],
    [
      'an RSA key',
      { header: { alg: 'RS256' }, key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey },
    ],
  ])('refuses %s', async (_, change) => {
    expect(verifySessionToken(await forged(change), publicKey, NOW)).toBeUndefined()
  })

  it('takes one of a replica whose clock is a minute ahead, and says of a later one that our clocks differ', () => {
    expect(verifySessionToken(token, publicKey, later(-60_000))).toMatchObject({ userId: 'user_1' })
    expect(() => verifySessionToken(token, publicKey, later(-61_000))).toThrow(
      expect.objectContaining({ reason: 'CLOCKS_DIFFER' }),
    )
  })

  it('refuses any change of its text', async () => {
    const [header = '', payload = '', signature = ''] = token.split('.')
    const claims = Buffer.from(JSON.stringify({ ...decodeJwt(token), sub: 'user_2' })).toString('base64url')
    const none = Buffer.from('{"alg":"none","typ":"session+jwt"}').toString('base64url')
    for (const text of [
      '',
      'x',
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}.${claims}.${signature}`,
      `${none}.${payload}.`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
    ]) {
      expect(verifySessionToken(text, publicKey, NOW), text).toBeUndefined()
    }
  })
})

describe('identityToken', () => {
  it('says who is calling, for one minute, to services only', async () => {
    const claims = {
      scopes: ['tunnels:read'],
      plan: 'pro',
      role: 'user',
      credential: { type: 'api_key', id: 'key_1' },
    } as const
    const signed = signIdentity('user_1', claims, { kid: 'identity_1', privateKey }, NOW)
    const identity = identityToken('user_1', claims, signed)
    expect(identityToken('user_1', claims, { ...signed })).toBe(identity)
    const issuedAt = Math.floor(NOW.getTime() / 1000)
    expect(decodeProtectedHeader(identity)).toEqual({ alg: 'EdDSA', typ: 'identity+jwt', kid: 'identity_1' })
    expect(decodeJwt(identity)).toEqual({
      ...claims,
      iss: 'instatunnel-auth',
      aud: 'instatunnel-services',
      sub: 'user_1',
      iat: issuedAt,
      exp: issuedAt + 60,
    })
    expect(
      verifySessionToken(identity, createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })), NOW),
    ).toBeUndefined()
  })
})
