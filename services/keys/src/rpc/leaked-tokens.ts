import { setTimeout as delay } from 'node:timers/promises'
import type { Identity } from '@instatunnel/kit/identity'
import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { claimExposing, type KeysOf, markRegenerated, releaseClaim } from '../store/exposure-store.ts'
import type { Deps } from './deps.ts'

const WAIT_MS = 1000
const REGENERATION_WAIT_MS = 5000
const CLAIM_AGAIN_MS = 100

/** What the answer says of the tunnels whose tokens a key that leaked could have read. */
export type LeakedTokens = Pick<
  DeleteKeyResponse,
  'tunnels' | 'tunnelsKnown' | 'tokensRegenerated' | 'tokensRegeneratedBefore' | 'connectionsCut'
>

/** Of keys that did not leak. */
export const NOT_LEAKED: LeakedTokens = {
  tunnels: [],
  tunnelsKnown: undefined,
  tokensRegenerated: undefined,
  tokensRegeneratedBefore: undefined,
  connectionsCut: 0,
}

/** Which keys leaked, whose they are, and what is to be done. */
export interface Leak {
  readonly keys: KeysOf
  readonly userId: string
  readonly caller: Identity
  readonly mayBeNamed: boolean
  readonly regenerate: boolean
}

/**
 * Names the tunnels whose tokens keys that leaked could have read, where the caller may see them, and has them
 * regenerated where that is asked for: once for each key, and a call waits where another is doing it. Those are all of its owner's: what a key may do and is held to
 * now says nothing of what it read before that was changed. The keys are revoked already: where tunnels is away, the
 * answer says so and nothing else fails.
 */
export async function leakedTokens(
  { sql, tunnels, log }: Pick<Deps, 'sql' | 'tunnels' | 'log'>,
  { keys, userId, caller, mayBeNamed, regenerate }: Leak,
): Promise<LeakedTokens> {
  const within = [...(caller.credential.subdomains ?? [])]
  // Not tied to the caller's signal: what was begun for a key that leaked is not left half done.
  const deadline = AbortSignal.timeout(REGENERATION_WAIT_MS)
  const claimed = regenerate ? await claim(sql, keys, within, deadline) : []
  const isDone = regenerate && claimed?.length === 0
  const answer = (known: boolean, { tunnels, connectionsCut } = NOT_LEAKED): LeakedTokens => ({
    tunnels: mayBeNamed ? tunnels : [],
    tunnelsKnown: known && mayBeNamed,
    tokensRegenerated: regenerate ? known || isDone : undefined,
    tokensRegeneratedBefore: isDone || undefined,
    connectionsCut,
  })
  if (!claimed || (!mayBeNamed && (isDone || !regenerate))) return answer(false)
  const asked = { userId, within }
  try {
    if (!regenerate || isDone) {
      const named = await tunnels.listTunnelNames(asked, { signal: AbortSignal.timeout(WAIT_MS) })
      return answer(true, { ...NOT_LEAKED, ...named })
    }
    const regenerated = await tunnels.regenerateTokens(asked, { signal: deadline })
    await markRegenerated(sql, claimed, within)
    return answer(true, { ...NOT_LEAKED, ...regenerated })
  } catch (error) {
    log.warn(
      { keys, cause: String(error), regenerate },
      'cannot tell which tokens a leaked key could have read',
    )
    // Where this fails, too, the claim ends by itself.
    if (claimed.length > 0) await releaseClaim(sql, claimed).catch(() => {})
    return answer(false)
  }
}

/** Claims what exposes tokens, once no other call does; undefined where that is not before the deadline. */
async function claim(sql: Deps['sql'], keys: KeysOf, within: readonly string[], deadline: AbortSignal) {
  for (;;) {
    const claimed = await claimExposing(sql, keys, within)
    if (claimed || deadline.aborted) return claimed
    await delay(CLAIM_AGAIN_MS)
  }
}
