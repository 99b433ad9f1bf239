import { createPublicKey, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type JwtClaims, kidOf, verifyJwt } from './jwt.ts'
import { clocksDiffer, Refusal } from './refusal.ts'

/** What pins a kind of token down, so that no other token of the platform passes for one. */
export interface TokenKind {
  readonly typ: string
  readonly issuer: string
  readonly audience: string
  /** How long one is good for. */
  readonly lifeSeconds: number
}

/** A public key by its kid, SubjectPublicKeyInfo in PEM. */
export interface PublicKey {
  readonly kid: string
  readonly publicKey: string
}

/** Where a verifier has its keys and its time from. */
export interface TokenTrust {
  /** Asks auth for the public keys that it signs for others with. */
  readonly listKeys: () => Promise<readonly PublicKey[]>
  readonly now: () => Date
}

// An unknown kid asks for the keys again, but an attacker's made-up ones not more often than this.
const REFETCH_MS = 1000
// Two replicas that are ready are each 30 s from the database's clock at most (kit/clock), so 60 s from one another, and
// auth hands out no token with less than 30 s left.
const LEEWAY_SECONDS = 30
const REMEMBERED_TOKENS = 10_000

/**
 * Verifies one kind of the tokens that auth signs for others; refuses with CREDENTIAL_INVALID. A token that auth did sign, and
 * that is out of time, is no fault of the caller's but of our clocks: it is refused with CLOCKS_DIFFER. Each distinct token
 * is verified once and remembered until it expires, refusals never; keys are fetched when an unknown kid comes.
 */
export function createTokenVerifier<Claims, Meaning>(options: {
  readonly kind: TokenKind
  /** What the refusal says. */
  readonly invalid: string
  /** Makes of a verified token's claims what callers are told. */
  readonly read: (payload: JwtClaims & Claims) => Meaning
  readonly trust: TokenTrust
}): (token: string) => Promise<Meaning> {
  const { kind, read, trust } = options
  const verified = new LRUCache<string, { meaning: Meaning; expiresAt: number }>({ max: REMEMBERED_TOKENS })
  const findKey = createKeyFinder(trust)
  const pins = { ...kind, leewaySeconds: LEEWAY_SECONDS }
  const invalid = () => new Refusal('CREDENTIAL_INVALID', options.invalid)

  const verify = async (token: string): Promise<JwtClaims & Claims> => {
    const kid = kidOf(token)
    // Outside the try: keys that cannot be fetched right now are no fault of the token's.
    const key = kid === undefined ? undefined : await findKey(kid)
    if (!key) throw invalid()
    const verdict = verifyJwt<Claims>(token, key, pins, trust.now())
    if (verdict.kind === 'early' || verdict.kind === 'late') throw clocksDiffer()
    if (verdict.kind === 'invalid' || verdict.claims.sub === undefined) throw invalid()
    return verdict.claims
  }

  return async (token) => {
    const known = verified.get(token)
    if (known && known.expiresAt > trust.now().getTime()) return known.meaning
    const payload = await verify(token)
    const meaning = read(payload)
    verified.set(token, { meaning, expiresAt: (payload.exp + LEEWAY_SECONDS) * 1000 })
    return meaning
  }
}

/** Finds public keys by their kids: one request for many callers at a time. */
function createKeyFinder({ listKeys, now }: TokenTrust): (kid: string) => Promise<KeyObject | undefined> {
  let keys = new Map<string, KeyObject>()
  let fetching: Promise<void> | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY

  const fetchKeys = async () => {
    const listed = await listKeys()
    // Whole, not added to: a key that auth has dropped verifies nothing more.
    keys = new Map(listed.map(({ kid, publicKey }) => [kid, createPublicKey(publicKey)]))
    fetchedAt = now().getTime()
  }
  return async (kid) => {
    if (!keys.has(kid) && Math.abs(now().getTime() - fetchedAt) > REFETCH_MS) {
      fetching ??= fetchKeys().finally(() => {
        fetching = undefined
      })
      await fetching
    }
    return keys.get(kid)
  }
}
