import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import type { UserHolder } from './domain/holder.ts'
import { signIdentityToken } from './domain/token.ts'
import type { SigningKeys } from './signing-keys.ts'

const REUSE_MS = (IDENTITY_TOKEN.lifeSeconds / 2) * 1000

/** Makes the token that tells services who is calling. */
export type IdentityTokenOf = (holder: UserHolder, now: Date) => string

/**
 * Each token is used again for half its life. It is kept by the holder, who is made anew whenever anything changes that
 * it says, and forgotten with it: so there are never more tokens than credentials that are known.
 */
export const createIdentityTokens =
  ({ signingKeys }: { signingKeys: Pick<SigningKeys, 'signing'> }): IdentityTokenOf =>
  (holder, now) => {
    const known = holder.identity
    if (known && known.until > now.getTime()) return known.token
    const { user, credential, scopes } = holder
    const claims: IdentityClaims = { scopes: [...scopes], plan: user.plan, role: user.role, credential }
    const token = signIdentityToken(user.userId, claims, signingKeys.signing('identity'), now)
    holder.identity = { token, until: now.getTime() + REUSE_MS }
    return token
  }
