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

/** What a token was signed with. With what it says, that is the token: a tenth of it, where many are kept. */
export interface Signed {
  readonly kid: string
  /** Unix seconds. */
  readonly issuedAt: number
  /** A character a byte. */
  readonly signature: string
}

/** Signs an identity token, good for a minute from now. */
export function signIdentity(userId: string, claims: IdentityClaims, key: SigningKey, now: Date): Signed {
  return signFor(IDENTITY_TOKEN, userId, claims, key, now)
}

/** The identity token that was signed so, of the same user and claims. */
export function identityToken(userId: string, claims: IdentityClaims, signed: Signed): string {
  return tokenOf(IDENTITY_TOKEN, userId, claims, signed)
}

/** A connect token, good for a minute from now. */
export const signConnectToken = (userId: string, claims: ConnectClaims, key: SigningKey, now: Date) =>
  tokenOf(CONNECT_TOKEN, userId, claims, signFor(CONNECT_TOKEN, userId, claims, key, now))

/**
 * A JWT (RFC 7519) signed with Ed25519 (RFC 8037), at once: a decision that waits for nothing else should not wait for
 * this, and jose, which has Web Crypto sign, takes three times as long.
 */
function signFor(
  kind: TokenKind,
  userId: string,
  claims: object,
  { kid, privateKey }: SigningKey,
  now: Date,
): Signed {
  const issuedAt = Math.floor(now.getTime() / 1000)
  const said = saidBy(kind, userId, claims, { kid, issuedAt })
  return { kid, issuedAt, signature: sign(null, Buffer.from(said), privateKey).toString('latin1') }
}

const tokenOf = (kind: TokenKind, userId: string, claims: object, signed: Signed): string =>
  `${saidBy(kind, userId, claims, signed)}.${Buffer.from(signed.signature, 'latin1').toString('base64url')}`

function saidBy(
  kind: TokenKind,
  userId: string,
  claims: object,
  { kid, issuedAt }: Pick<Signed, 'kid' | 'issuedAt'>,
): string {
  const header = { alg: 'EdDSA', typ: kind.typ, kid }
  const registered = {
    iss: kind.issuer,
    aud: kind.audience,
    sub: userId,
    iat: issuedAt,
    exp: issuedAt + kind.lifeSeconds,
  }
  return `${encoded(header)}.${encoded({ ...claims, ...registered })}`
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
