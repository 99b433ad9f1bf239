import { type KeyObject, sign } from 'node:crypto'
import { CONNECT_TOKEN, type ConnectClaims } from '@instatunnel/kit/connect'
import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import type { TokenKind } from '@instatunnel/kit/token-verifier'
import { decodeProtectedHeader, jwtVerify, SignJWT } from 'jose'
import { SESSION_SECONDS, type Session } from './session.ts'

/** What pins session tokens down, so that no other token of the platform passes for one. */
const SESSION_TOKEN = {
  typ: 'session+jwt',
  issuer: 'instatunnel-auth',
  audience: 'instatunnel',
  algorithms: ['EdDSA'],
}

/** A private key and the kid that its public one is found by. */
export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
}

/** What a verified session token says. */
export interface SessionClaims {
  readonly sessionId: string
  readonly userId: string
  /** Unix seconds. */
  readonly expiresAt: number
}

/** The token of a session, good for as long as the session is. */
export const signSessionToken = (session: Session, key: SigningKey): Promise<string> => {
  const issuedAt = Math.floor(session.createdAt.getTime() / 1000)
  return new SignJWT({ sid: session.id })
    .setProtectedHeader({ alg: 'EdDSA', typ: SESSION_TOKEN.typ, kid: key.kid })
    .setIssuer(SESSION_TOKEN.issuer)
    .setAudience(SESSION_TOKEN.audience)
    .setSubject(session.userId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + SESSION_SECONDS)
    .sign(key.privateKey)
}

/** An identity token, good for a minute from now. */
export const signIdentityToken = (userId: string, claims: IdentityClaims, key: SigningKey, now: Date) =>
  signFor(IDENTITY_TOKEN, userId, claims, key, now)

/** A connect token, good for a minute from now. */
export const signConnectToken = (userId: string, claims: ConnectClaims, key: SigningKey, now: Date) =>
  signFor(CONNECT_TOKEN, userId, claims, key, now)

/**
 * A JWT (RFC 7519) signed with Ed25519 (RFC 8037), at once: a decision that waits for nothing else should not wait for
 * this, and jose, which has Web Crypto sign, takes three times as long.
 */
function signFor(kind: TokenKind, userId: string, claims: object, key: SigningKey, now: Date): string {
  const iat = Math.floor(now.getTime() / 1000)
  const header = { alg: 'EdDSA', typ: kind.typ, kid: key.kid }
  const registered = {
    iss: kind.issuer,
    aud: kind.audience,
    sub: userId,
    iat,
    exp: iat + kind.lifeSeconds,
  }
  const signed = `${encoded(header)}.${encoded({ ...claims, ...registered })}`
  return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString('base64url')}`
}

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

/** The kid of a token that is not verified yet; undefined where it has none, or is no token. */
export function kidOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid
  } catch {
    return undefined
  }
}

/** What a session token says; undefined where its signature, type, issuer, audience or time is not right. */
export async function verifySessionToken(
  token: string,
  key: KeyObject,
  now: Date,
): Promise<SessionClaims | undefined> {
  try {
    const required = ['sub', 'sid', 'exp']
    const { payload } = await jwtVerify(token, key, {
      ...SESSION_TOKEN,
      currentDate: now,
      requiredClaims: required,
    })
    return { sessionId: String(payload.sid), userId: String(payload.sub), expiresAt: Number(payload.exp) }
  } catch {
    return undefined
  }
}
