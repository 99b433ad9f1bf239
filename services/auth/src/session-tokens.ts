import { kidOf } from '@instatunnel/kit/jwt'
import { LRUCache } from 'lru-cache'
import { type SessionClaims, verifySessionToken } from './domain/token.ts'
import { after, type Eventual } from './eventual.ts'
import type { SigningKeys } from './signing-keys.ts'

const REMEMBERED_TOKENS = 10_000

/** Tells what a session's token says, at once where it was met before; undefined where it is none of ours, or has expired. */
export type SessionClaimsOf = (token: string) => Eventual<SessionClaims | undefined>

/** A signature does not change: each token is verified once. Whether its session lives is to be asked every time. */
export function createSessionTokens(options: { signingKeys: SigningKeys; now: () => Date }): SessionClaimsOf {
  const { signingKeys, now } = options
  const verified = new LRUCache<string, SessionClaims>({ max: REMEMBERED_TOKENS })
  const verify = (token: string) =>
    after(signingKeys.verifying('session', kidOf(token) ?? ''), (key) => {
      const claims = key && verifySessionToken(token, key, now())
      if (claims) verified.set(token, claims)
      return claims
    })
  return (token) => {
    const known = verified.get(token)
    if (!known) return verify(token)
    return known.expiresAt * 1000 > now().getTime() ? known : undefined
  }
}
