import type { Random } from '@instatunnel/kit/id'
import { digestOf, masked, type Peppers, randomAlphanumeric } from '@instatunnel/kit/secret'
import type { SealedToken, TokenSafe } from './token-safe.ts'

const PREFIX = 'itt_'
const LENGTH = 32

/** What is kept of a token: a hash to look it up by, and itself, sealed, to show it again. */
export interface KeptToken extends SealedToken {
  readonly tokenHash: Buffer
  readonly tokenPepperId: string
}

/** A new token for a tunnel, and what is kept of it. */
export function issueToken(
  tunnelId: string,
  { random, peppers, safe }: { random: Random; peppers: Peppers; safe: TokenSafe },
): { token: string; kept: KeptToken } {
  const token = PREFIX + randomAlphanumeric(LENGTH, random)
  const { hash, pepperId } = peppers.hash(digestOf(token))
  return { token, kept: { tokenHash: hash, tokenPepperId: pepperId, ...safe.seal(tunnelId, token, random) } }
}

/** `itt_***...def` */
export const maskedToken = (token: string) => masked(PREFIX, token)
