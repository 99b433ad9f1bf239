import type { Identity } from '@instatunnel/kit/identity'
import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { type KeysOf, listExposing, markRegenerated } from '../store/exposure-store.ts'
import type { Deps } from './deps.ts'

const WAIT_MS = 1000
const REGENERATION_WAIT_MS = 5000

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
 * regenerated where that is asked for: once for each key. Those are all of its owner's: what a key may do and is held to
 * now says nothing of what it read before that was changed. The keys are revoked already: where tunnels is away, the
 * answer says so and nothing else fails.
 */
export async function leakedTokens(
  { sql, tunnels, log }: Pick<Deps, 'sql' | 'tunnels' | 'log'>,
  { keys, userId, caller, mayBeNamed, regenerate }: Leak,
): Promise<LeakedTokens> {
  const within = [...(caller.credential.subdomains ?? [])]
  const exposing = regenerate ? await listExposing(sql, keys, within) : []
  const isDone = regenerate && exposing.length === 0
  const answer = (known: boolean, { tunnels, connectionsCut } = NOT_LEAKED): LeakedTokens => ({
    tunnels: mayBeNamed ? tunnels : [],
    tunnelsKnown: known && mayBeNamed,
    tokensRegenerated: regenerate ? known || isDone : undefined,
    tokensRegeneratedBefore: isDone || undefined,
    connectionsCut,
  })
  if (!mayBeNamed && (isDone || !regenerate)) return answer(false)
  const asked = { userId, within }
  try {
    if (!regenerate || isDone) {
      const named = await tunnels.listTunnelNames(asked, { signal: AbortSignal.timeout(WAIT_MS) })
      return answer(true, { ...NOT_LEAKED, ...named })
    }
    // Not tied to the caller's signal: what was begun for a key that leaked is not left half done.
    const signal = AbortSignal.timeout(REGENERATION_WAIT_MS)
    const regenerated = await tunnels.regenerateTokens(asked, { signal })
    await markRegenerated(sql, exposing, within)
    return answer(true, { ...NOT_LEAKED, ...regenerated })
  } catch (error) {
    log.warn(
      { keys, cause: String(error), regenerate },
      'cannot tell which tokens a leaked key could have read',
    )
    return answer(false)
  }
}
