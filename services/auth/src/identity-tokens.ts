import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import { LRUCache } from 'lru-cache'
import type { UserHolder } from './domain/holder.ts'
import { signIdentityToken } from './domain/token.ts'
import type { SigningKeys } from './signing-keys.ts'

const REMEMBERED_TOKENS = 10_000
const REUSE_MS = (IDENTITY_TOKEN.lifeSeconds / 2) * 1000

/** Makes the token that tells services who is calling. */
export type IdentityTokenOf = (holder: UserHolder) => Promise<string>

/** Each token is used again for half its life, where nothing that it says has changed. */
export function createIdentityTokens(options: {
  signingKeys: SigningKeys
  now: () => Date
}): IdentityTokenOf {
  const { signingKeys, now } = options
  const signed = new LRUCache<string, { token: Promise<string>; until: number }>({ max: REMEMBERED_TOKENS })
  return ({ user, credential, scopes }) => {
    const claims: IdentityClaims = { scopes: [...scopes], plan: user.plan, role: user.role, credential }
    const fingerprint = JSON.stringify([user.userId, claims])
    const known = signed.get(fingerprint)
    if (known && known.until > now().getTime()) return known.token
    const token = signIdentityToken(user.userId, claims, signingKeys.signing('identity'), now())
    signed.set(fingerprint, { token, until: now().getTime() + REUSE_MS })
    return token
  }
}
