import { type KeyObject, sign, verify } from 'node:crypto'

/** What pins a kind of token down, so that no token of another kind passes for one. */
export interface JwtPins {
  readonly typ: string
  readonly audience: string
  /** Undefined where the caller of `verifyJwt` has chosen the key by the issuer. */
  readonly issuer?: string
  /** How far the clocks of signer and verifier may differ; 0 where left out. */
  readonly leewaySeconds?: number
}

/** The registered claims that our tokens have (RFC 7519), times in Unix seconds. */
export interface JwtClaims {
  readonly iss?: string
  readonly aud?: string
  readonly sub?: string
  readonly iat?: number
  readonly exp: number
}

/** The verdict about a token. `early`, `late`: it is ours in every respect, but not good yet, or no longer. */
export type JwtVerdict<Claims> =
  | { readonly kind: 'valid'; readonly claims: JwtClaims & Claims }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'early' }
  | { readonly kind: 'late' }

const INVALID = { kind: 'invalid' } as const
const EARLY = { kind: 'early' } as const
const LATE = { kind: 'late' } as const
const SIGNATURE_BYTES = 64

/**
 * Verifies a JWT that is signed with Ed25519 (RFC 8037), at once: jose has Web Crypto verify, in the pool of threads where
 * passwords are hashed, and a call would wait there behind every login.
 */
export function verifyJwt<Claims>(
  token: string,
  key: KeyObject,
  pins: JwtPins,
  now: Date,
): JwtVerdict<Claims> {
  const [head = '', body = '', signature = '', more] = token.split('.', 4)
  if (more !== undefined || key.asymmetricKeyType !== 'ed25519') return INVALID
  const header = objectFrom(head)
  // RFC 7515, section 4.1.11: an extension that is critical and not understood must be refused.
  if (header?.alg !== 'EdDSA' || header.typ !== pins.typ || 'crit' in header) return INVALID
  const bytes = Buffer.from(signature, 'base64url')
  // One signature has one spelling.
  if (bytes.length !== SIGNATURE_BYTES || bytes.toString('base64url') !== signature) return INVALID
  if (!verify(null, Buffer.from(`${head}.${body}`), key, bytes)) return INVALID
  const claims = objectFrom(body)
  if (claims?.aud !== pins.audience) return INVALID
  if (pins.issuer !== undefined && claims.iss !== pins.issuer) return INVALID
  const { iat = 0, nbf = iat, exp } = claims
  if (![iat, nbf, exp].every(Number.isFinite)) return INVALID
  const seconds = now.getTime() / 1000
  const { leewaySeconds = 0 } = pins
  if (Math.max(iat as number, nbf as number) > seconds + leewaySeconds) return EARLY
  if ((exp as number) + leewaySeconds <= seconds) return LATE
  return { kind: 'valid', claims: claims as unknown as JwtClaims & Claims }
}

/** Signs a JWT with Ed25519, at once. */
export function signJwt(header: { typ: string; kid?: string }, claims: JwtClaims, key: KeyObject): string {
  const said = jwtSaying(header, claims)
  return `${said}.${sign(null, Buffer.from(said), key).toString('base64url')}`
}

/** What the signature of a JWT is made of. */
export const jwtSaying = (header: { typ: string; kid?: string }, claims: JwtClaims): string =>
  `${encoded({ alg: 'EdDSA', ...header })}.${encoded(claims)}`

/** The kid of a token that is not verified yet; undefined where it has none, or is no token. */
export function kidOf(token: string): string | undefined {
  const kid = objectFrom(token.split('.', 1)[0] ?? '')?.kid
  return typeof kid === 'string' ? kid : undefined
}

/** The issuer that a token names which is not verified yet; undefined where it names none, or is no token. */
export function issuerOf(token: string): string | undefined {
  const iss = objectFrom(token.split('.', 2)[1] ?? '')?.iss
  return typeof iss === 'string' ? iss : undefined
}

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

function objectFrom(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
