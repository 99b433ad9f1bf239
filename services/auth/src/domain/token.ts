import { type KeyObject, sign } from 'node:crypto'
import { CONNECT_TOKEN, type ConnectClaims } from '@instatunnel/kit/connect'
import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import { jwtSaying, signJwt, verifyJwt } from '@instatunnel/kit/jwt'
import { clocksDiffer } from '@instatunnel/kit/refusal'
import type { TokenKind } from '@instatunnel/kit/token-verifier'
import { SESSION_SECONDS, type Session } from './session.ts'

/** What pins session tokens down, so that no other token of the platform passes for one. */
const SESSION_TOKEN = {
  typ: 'session+jwt',
  issuer: 'instatunnel-auth',
  audience: 'instatunnel',
  // Two replicas that are ready are each 30 s from the database's clock at most (kit/clock). When the session ends its row says.
  leewaySeconds: 60,
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
export function signSessionToken(session: Session, { kid, privateKey }: SigningKey): string {
  const issuedAt = Math.floor(session.createdAt.getTime() / 1000)
  const claims = {
    sid: session.id,
    iss: SESSION_TOKEN.issuer,
    aud: SESSION_TOKEN.audience,
    sub: session.userId,
    iat: issuedAt,
    exp: issuedAt + SESSION_SECONDS,
  }
  return signJwt({ typ: SESSION_TOKEN.typ, kid }, claims, privateKey)
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

/** Signs at once: a decision that waits for nothing else should not wait for this. */
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
  const registered = {
    iss: kind.issuer,
    aud: kind.audience,
    sub: userId,
    iat: issuedAt,
    exp: issuedAt + kind.lifeSeconds,
  }
  return jwtSaying({ typ: kind.typ, kid }, { ...claims, ...registered })
}

/**
 * What a session token says; undefined where its signature, type, issuer, audience or time is not right. Throws CLOCKS_DIFFER for
 * one that we sign later than now: our clocks differ.
 */
export function verifySessionToken(token: string, key: KeyObject, now: Date): SessionClaims | undefined {
  const verdict = verifyJwt<{ sid?: string }>(token, key, SESSION_TOKEN, now)
  if (verdict.kind === 'early') throw clocksDiffer()
  if (verdict.kind !== 'valid') return undefined
  const { sid, sub, exp } = verdict.claims
  return sid === undefined || sub === undefined ? undefined : { sessionId: sid, userId: sub, expiresAt: exp }
}
