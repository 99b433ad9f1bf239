import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Plan } from './plans.ts'
import { Refusal } from './refusal.ts'
import type { Role } from './scope.ts'

/** What pins identity tokens down, so that no other token of the platform passes for one. */
export const IDENTITY_TOKEN = {
  typ: 'identity+jwt',
  issuer: 'instatunnel-auth',
  audience: 'instatunnel-services',
  algorithms: ['EdDSA'],
  /** How long one is good for. */
  lifeSeconds: 60,
}

/** What a call was made with. */
export interface PresentedCredential {
  readonly type: 'api_key' | 'session'
  /** The key's or the session's id. */
  readonly id: string
  /** The session that the credential is, or belongs to. */
  readonly sessionId?: string
  /** The key, masked. */
  readonly masked?: string
  /** When it ends, in Unix seconds; undefined where it never does. */
  readonly expiresAt?: number
}

/** Who is calling, as auth vouches for. */
export interface Identity {
  readonly userId: string
  /** What the credential may do now. */
  readonly scopes: ReadonlySet<string>
  readonly plan: Plan
  readonly role: Role
  readonly credential: PresentedCredential
}

/** The claims of an identity token, beside the registered ones. */
export interface IdentityClaims {
  readonly scopes: readonly string[]
  readonly plan: Plan
  readonly role: Role
  readonly credential: PresentedCredential
}

/** A public key by its kid, SubjectPublicKeyInfo in PEM. */
export interface PublicKey {
  readonly kid: string
  readonly publicKey: string
}

/** Verifies identity tokens; refuses with CREDENTIAL_INVALID. */
export type VerifyIdentity = (token: string) => Promise<Identity>

// An unknown kid asks for the keys again, but an attacker's made-up ones not more often than this.
const REFETCH_MS = 1000
const REMEMBERED_TOKENS = 10_000

/** Each distinct token is verified once and remembered until it expires; keys are fetched when an unknown kid comes. */
export function createIdentityVerifier(options: {
  listKeys: () => Promise<readonly PublicKey[]>
  now: () => Date
}): VerifyIdentity {
  const verified = new LRUCache<string, { identity: Identity; expiresAt: number }>({ max: REMEMBERED_TOKENS })
  let keys = new Map<string, KeyObject>()
  let fetching: Promise<void> | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY

  const fetchKeys = async () => {
    const listed = await options.listKeys()
    // Whole, not added to: a key that auth has dropped verifies nothing more.
    keys = new Map(listed.map(({ kid, publicKey }) => [kid, createPublicKey(publicKey)]))
    fetchedAt = options.now().getTime()
  }
  const keyOf = async (kid: string | undefined): Promise<KeyObject> => {
    if (kid !== undefined && !keys.has(kid) && options.now().getTime() - fetchedAt > REFETCH_MS) {
      fetching ??= fetchKeys().finally(() => {
        fetching = undefined
      })
      await fetching
    }
    const key = kid === undefined ? undefined : keys.get(kid)
    if (!key) throw invalidIdentity()
    return key
  }

  return async (token) => {
    const known = verified.get(token)
    if (known && known.expiresAt > options.now().getTime()) return known.identity
    const payload = await verifyToken(token, keyOf, options.now())
    const identity = identityFrom(payload)
    verified.set(token, { identity, expiresAt: (payload.exp ?? 0) * 1000 })
    return identity
  }
}

async function verifyToken(token: string, keyOf: (kid?: string) => Promise<KeyObject>, now: Date) {
  const { typ, issuer, audience, algorithms } = IDENTITY_TOKEN
  // Outside the try: keys that cannot be fetched right now are no fault of the token's.
  const key = await keyOf(kidOf(token))
  try {
    const options = { typ, issuer, audience, algorithms, currentDate: now, requiredClaims: ['exp', 'sub'] }
    const { payload } = await jwtVerify(token, key, options)
    return payload as JWTPayload & IdentityClaims
  } catch {
    throw invalidIdentity()
  }
}

function kidOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid
  } catch {
    throw invalidIdentity()
  }
}

const invalidIdentity = () => new Refusal('CREDENTIAL_INVALID', 'Invalid identity')

const identityFrom = (payload: JWTPayload & IdentityClaims): Identity => ({
  userId: payload.sub ?? '',
  scopes: new Set(payload.scopes),
  plan: payload.plan,
  role: payload.role,
  credential: payload.credential,
})
