import { createHmac, generateKeyPairSync } from 'node:crypto'
import { forgeries } from '@instatunnel/test/jwt'
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { issuerOf, kidOf, signJwt, verifyJwt } from './jwt.ts'

const NOW = new Date('2026-07-01T12:00:00Z')
const seconds = NOW.getTime() / 1000
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const pins = { typ: 'test+jwt', issuer: 'auth', audience: 'keys' }
const claims = { iss: 'auth', aud: 'keys', sub: 'user_1', iat: seconds, exp: seconds + 60 }
const token = signJwt({ typ: 'test+jwt', kid: 'k1' }, claims, privateKey)
const verdict = (text: string, more: object = {}, now = NOW) =>
  verifyJwt(text, publicKey, { ...pins, ...more }, now).kind

describe('signJwt', () => {
  it('signs what others verify', async () => {
    const read = await jwtVerify(token, publicKey, { ...pins, algorithms: ['EdDSA'], currentDate: NOW })
    expect(read.payload).toEqual(claims)
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'test+jwt', kid: 'k1' })
  })
})

describe('verifyJwt', () => {
  it('takes what others sign, and tells what it says', async () => {
    const theirs = await new SignJWT({ ...claims, scopes: ['*'] })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'test+jwt' })
      .sign(privateKey)
    expect(verifyJwt(theirs, publicKey, pins, NOW)).toEqual({
      kind: 'valid',
      claims: { ...claims, scopes: ['*'] },
    })
  })

  it('refuses whatever an attacker makes of a good one', () => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const tried = forgeries(token, { better: { sub: 'user_2' }, publicKey: pem })
    expect(tried.length).toBeGreaterThan(30)
    for (const [name, forged] of tried) expect(verdict(forged), name).toBe('invalid')
    expect(verdict(token)).toBe('valid')
  })

  it('refuses every other spelling of the signature', () => {
    const last = token.at(-1) as string
    const others = ['=', '%', '\n', ' ', '+', 'A'].map((sign) => `${token}${sign}`)
    // The last of 86 characters has four bits that say nothing.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const sign of alphabet) if (sign !== last) others.push(token.slice(0, -1) + sign)
    for (const text of [...others, token.replaceAll('-', '+').replaceAll('_', '/')])
      if (text !== token) expect(verdict(text), text).toBe('invalid')
  })

  it.each([
    ['another type', { typ: 'other+jwt' }],
    ['another issuer', { issuer: 'keys' }],
    ['another audience', { audience: 'auth' }],
  ])('refuses a token of %s', (_, more) => {
    expect(verdict(token, more)).toBe('invalid')
  })

  it('tells one that is out of time from one that is wrong, within the leeway that it is given', () => {
    const at = (offset: number) => new Date(NOW.getTime() + offset)
    expect(verdict(token, {}, at(59_999))).toBe('valid')
    expect(verdict(token, {}, at(60_000))).toBe('late')
    expect(verdict(token, {}, at(-1))).toBe('early')
    for (const offset of [89_999, -30_000])
      expect(verdict(token, { leewaySeconds: 30 }, at(offset))).toBe('valid')
    expect(verdict(token, { leewaySeconds: 30 }, at(90_000))).toBe('late')
    expect(verdict(token, { leewaySeconds: 30 }, at(-30_001))).toBe('early')
  })

  it('refuses a critical extension, and claims that are no claims, well signed as they are', () => {
    const signed = (header: object, body: unknown) =>
      signJwt(header as { typ: string }, body as never, privateKey)
    for (const [header, body] of [
      [{ typ: 'test+jwt', crit: ['b64'] }, claims],
      [{ typ: 'test+jwt', alg: 'none' }, claims],
      [{ typ: 'test+jwt', alg: ['EdDSA'] }, claims],
      [{ typ: 'test+jwt' }, { ...claims, aud: ['keys'] }],
      [{ typ: 'test+jwt' }, { ...claims, exp: `${claims.exp}` }],
      [{ typ: 'test+jwt' }, { ...claims, exp: undefined }],
      [{ typ: 'test+jwt' }, { ...claims, iat: '0' }],
      [{ typ: 'test+jwt' }, [claims]],
      [{ typ: 'test+jwt' }, 'claims'],
    ] as const) {
      expect(verdict(signed(header, body)), JSON.stringify([header, body])).toBe('invalid')
    }
  })

  it('takes no key but an Ed25519 one', () => {
    const secret = publicKey.export({ type: 'spki', format: 'der' })
    const [said] = [token.slice(0, token.lastIndexOf('.'))]
    const mac = createHmac('sha256', secret).update(said).digest('base64url')
    expect(verdict(`${said}.${mac}`)).toBe('invalid')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const byRsa = signJwt({ typ: 'test+jwt' }, claims, rsa.privateKey)
    expect(verifyJwt(byRsa, rsa.publicKey, pins, NOW).kind).toBe('invalid')
  })
})

describe('kidOf and issuerOf', () => {
  it('read a token that is not verified yet', () => {
    expect(kidOf(token)).toBe('k1')
    expect(issuerOf(token)).toBe(decodeJwt(token).iss)
  })
  it.each([
    '',
    'x',
    'eyJ',
    '..',
    'bm90IGpzb24.e30.x',
    'WzFd.WzFd.',
    'bnVsbA.bnVsbA.',
    'eyJraWQiOjF9.eyJpc3MiOjF9.x',
  ])('find nothing in %j', (text) => {
    expect(kidOf(text)).toBeUndefined()
    expect(issuerOf(text)).toBeUndefined()
  })
})
