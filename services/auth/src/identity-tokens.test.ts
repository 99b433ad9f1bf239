import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { createIdentityVerifier } from '@instatunnel/kit/identity'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, it } from 'vitest'
import { aKey } from '../test/known-key.ts'
import { createIdentityTokens } from './identity-tokens.ts'

const NOW = new Date('2026-07-01T12:00:00.500Z')
const later = (ms: number) => new Date(NOW.getTime() + ms)
const { privateKey } = generateKeyPairSync('ed25519')
const kid = 'identity_1'
const identityTokenOf = createIdentityTokens({ signingKeys: { signing: () => ({ kid, privateKey }) } })
const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
const verify = createIdentityVerifier({ listKeys: async () => [{ kid, publicKey }], now: () => NOW })

describe('an identity token', () => {
  it('is one that every service verifies, and says who is calling', async () => {
    const { holder } = aKey({ permissions: ['tunnels:*'], allowedSubdomains: ['docs-*'] })
    const token = identityTokenOf(holder, NOW)
    expect(await verify(token)).toEqual({
      userId: holder.user.userId,
      scopes: holder.scopes,
      plan: 'free',
      role: 'user',
      credential: {
        type: 'api_key',
        id: 'key_01h00000000000000000000000',
        masked: 'it_***...abc',
        subdomains: ['docs-*'],
      },
    })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'identity+jwt', kid })
    const issuedAt = Math.floor(NOW.getTime() / 1000)
    expect(decodeJwt(token)).toMatchObject({
      iss: 'instatunnel-auth',
      aud: 'instatunnel-services',
      iat: issuedAt,
      exp: issuedAt + 60,
    })
  })

  it('verifies as nothing else once any part of it is changed', async () => {
    const token = identityTokenOf(aKey().holder, NOW)
    const [head = '', body = '', signature = ''] = token.split('.')
    const grown = Buffer.from(JSON.stringify({ ...decodeJwt(token), role: 'admin' })).toString('base64url')
    for (const forged of [`${head}.${grown}.${signature}`, `${head}.${body}.`, `${head}.${body}.${head}`])
      await expect(verify(forged)).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' })
  })

  it('is used again for half its life, and then made anew', () => {
    const { holder } = aKey()
    const token = identityTokenOf(holder, NOW)
    expect(identityTokenOf(holder, later(29_999))).toBe(token)
    const next = identityTokenOf(holder, later(30_000))
    expect(next).not.toBe(token)
    expect(decodeJwt(next).exp).toBe(Math.floor(later(30_000).getTime() / 1000) + 60)
  })

  it('is signed anew where the clock was set back', () => {
    const { holder } = aKey()
    identityTokenOf(holder, NOW)
    const before = new Date(NOW.getTime() - 60_000)
    expect(decodeJwt(identityTokenOf(holder, before)).iat).toBe(Math.floor(before.getTime() / 1000))
  })

  it('is the very same when it is made of its signature', () => {
    const { holder } = aKey()
    const token = identityTokenOf(holder, NOW)
    expect(holder.identity?.token).toBeUndefined()
    expect(identityTokenOf(holder, later(29_999))).toBe(token)
  })

  it('is kept whole where it is asked for twice in a second, for the last ten thousand', () => {
    const holders = Array.from({ length: 10_001 }, (_, n) => aKey({ id: `key_${n}` }).holder)
    const tokens = holders.map((holder) => identityTokenOf(holder, NOW))
    const isWhole = () => holders.map(({ identity }) => identity?.token !== undefined)
    for (const holder of holders) identityTokenOf(holder, later(1000))
    expect(isWhole()).toEqual(Array(10_001).fill(false))
    for (const holder of holders) identityTokenOf(holder, later(1001))
    expect(isWhole()).toEqual([false, ...Array(10_000).fill(true)])
    expect(holders.map((holder) => identityTokenOf(holder, later(1002)))).toEqual(tokens)
  })

  it("is each holder's own: nobody else's, and none from before the holder was made anew", () => {
    const token = identityTokenOf(aKey().holder, NOW)
    const changed = identityTokenOf(aKey({}, { plan: 'pro', role: 'admin' }).holder, NOW)
    expect(changed).not.toBe(token)
    expect(decodeJwt(changed)).toMatchObject({ plan: 'pro', role: 'admin' })
  })
})
