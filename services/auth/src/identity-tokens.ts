import { IDENTITY_TOKEN, type IdentityClaims } from '@instatunnel/kit/identity'
import type { KeptIdentity, UserHolder } from './domain/holder.ts'
import { identityToken, signIdentity } from './domain/token.ts'
import type { SigningKeys } from './signing-keys.ts'

const REUSE_MS = (IDENTITY_TOKEN.lifeSeconds / 2) * 1000
// So many are kept whole, 700 bytes each, and only those that are asked for twice in a second: what is kept for a while
// and then let go costs the engine most. Others are kept as their signature; to make the token of it takes 3 µs, and to
// sign 25.
const MAX_WHOLE = 10_000

/** Makes the token that tells services who is calling. */
export type IdentityTokenOf = (holder: UserHolder, now: Date) => string

/**
 * Each token is used again for half its life. It is kept by the holder, who is made anew whenever anything changes that
 * it says, and forgotten with it: so there are never more tokens than credentials that are known.
 */
export function createIdentityTokens({
  signingKeys,
}: {
  signingKeys: Pick<SigningKeys, 'signing'>
}): IdentityTokenOf {
  // The oldest gives way to the next; what is in use is made whole once more.
  const whole: KeptIdentity[] = []
  let next = 0
  const keepWhole = (kept: KeptIdentity, token: string) => {
    const oldest = whole[next]
    if (oldest) oldest.token = undefined
    kept.token = token
    whole[next] = kept
    next = (next + 1) % MAX_WHOLE
  }

  return (holder, now) => {
    const kept = holder.identity
    const time = now.getTime()
    // Where the clock was set back it is signed anew: nobody takes a token of a time to come.
    const isGood = kept !== undefined && time < kept.until && time >= kept.until - REUSE_MS
    if (isGood && kept.token !== undefined) return kept.token
    const { userId } = holder.user
    const claims = claimsOf(holder)
    const second = Math.floor(time / 1000)
    if (isGood) {
      const token = identityToken(userId, claims, kept.signed)
      if (kept.madeIn === second) keepWhole(kept, token)
      kept.madeIn = second
      return token
    }
    const signed = signIdentity(userId, claims, signingKeys.signing('identity'), now)
    holder.identity = { signed, until: time + REUSE_MS, madeIn: second, token: undefined }
    return identityToken(userId, claims, signed)
  }
}

const claimsOf = ({ user, credential, scopes }: UserHolder): IdentityClaims => ({
  scopes: [...scopes],
  plan: user.plan,
  role: user.role,
  credential,
})
