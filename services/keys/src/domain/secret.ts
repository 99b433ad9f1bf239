import type { Random } from '@instatunnel/kit/id'
import { digestOf, masked, type Peppers, randomAlphanumeric } from '@instatunnel/kit/secret'

/** What a secret begins with where no other prefix was chosen. */
export const DEFAULT_PREFIX = 'it_'

const SESSION_TOKEN = 'eyJ'
// By these, whoever is shown a credential tells its kind: keys, tunnels' tokens, OAuth's tokens and JWTs.
const TAKEN = [DEFAULT_PREFIX, 'itt_', 'ito_', SESSION_TOKEN]

/** What is kept of a secret: enough to know it again and to list it, never the secret. */
export interface KeptSecret {
  readonly prefix: string
  readonly start: string
  readonly masked: string
  /** HMAC-SHA-256 under the pepper of the secret's SHA-256. */
  readonly hash: Buffer
  readonly pepperId: string
}

/** Why a prefix cannot be chosen; undefined where it can. */
export function prefixFault(prefix: string): string | undefined {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(prefix)) return "must be 1 to 32 of A-Z, a-z, 0-9, '_' and '-'"
  const taken = TAKEN.find((beginning) => prefix.startsWith(beginning))
  return taken === undefined
    ? undefined
    : `must not begin with ${taken}, which another credential begins with`
}

/** A new secret and what is kept of it: `it_` and 16 random characters (95 bits), or the chosen prefix and 32. */
export function issueSecret(
  chosenPrefix: string | undefined,
  { random, peppers }: { random: Random; peppers: Peppers },
): { secret: string; kept: KeptSecret } {
  const prefix = chosenPrefix ?? DEFAULT_PREFIX
  const secret = newSecret(prefix, random)
  const kept = {
    prefix,
    start: secret.slice(0, prefix === DEFAULT_PREFIX ? 5 : 6),
    masked: masked(prefix, secret),
    ...peppers.hash(digestOf(secret)),
  }
  return { secret, kept }
}

/**
 * A prefix shorter than a taken beginning could grow into it by chance. Into `it_`, `itt_` and `ito_` it cannot: the
 * random part has no underscore. Into `eyJ` the prefixes "e" and "ey" can, so such a secret is drawn again. Beyond
 * that prefixes need not tell keys apart: a key is found by the digest of all of it.
 */
function newSecret(prefix: string, random: Random): string {
  for (;;) {
    const secret = prefix + randomAlphanumeric(prefix === DEFAULT_PREFIX ? 16 : 32, random)
    if (!secret.startsWith(SESSION_TOKEN)) return secret
  }
}
