import type { Identity } from '@instatunnel/kit/identity'
import type { DeleteKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Key } from '../domain/key.ts'
import type { Deps } from './deps.ts'

const WAIT_MS = 1000
const REGENERATION_WAIT_MS = 5000

/** What the answer says of the tunnels whose tokens a key that leaked could have read. */
export type LeakedTokens = Pick<
  DeleteKeyResponse,
  'tunnels' | 'tunnelsKnown' | 'tokensRegenerated' | 'connectionsCut'
>

/**
 * Names the tunnels whose tokens a key that leaked could have read, where the caller may see them, and has them
 * regenerated where that is asked for. Those are all of its owner's: what the key may do and is held to now says nothing
 * of what it read before that was changed. The key is revoked already: where tunnels is away, the answer says so and
 * nothing else fails.
 */
export async function leakedTokens(
  { tunnels, log }: Pick<Deps, 'tunnels' | 'log'>,
  { key, caller, regenerate }: { key: Key; caller: Identity; regenerate: boolean },
): Promise<LeakedTokens> {
  const mayBeNamed = caller.scopes.has('tunnels:read')
  const answer = (
    known: boolean,
    { tunnels, connectionsCut }: Pick<LeakedTokens, 'tunnels' | 'connectionsCut'>,
  ) => ({
    tunnels: mayBeNamed ? tunnels : [],
    tunnelsKnown: known && mayBeNamed,
    tokensRegenerated: regenerate ? known : undefined,
    connectionsCut,
  })
  const none = { tunnels: [], connectionsCut: 0 }
  if (!regenerate && !mayBeNamed) return answer(false, none)
  const asked = { userId: key.userId, within: [...(caller.credential.subdomains ?? [])] }
  try {
    // Not tied to the caller's signal: what was begun for a key that leaked is not left half done.
    if (regenerate)
      return answer(
        true,
        await tunnels.regenerateTokens(asked, { signal: AbortSignal.timeout(REGENERATION_WAIT_MS) }),
      )
    const named = await tunnels.listTunnelNames(asked, { signal: AbortSignal.timeout(WAIT_MS) })
    return answer(true, { ...named, connectionsCut: 0 })
  } catch (error) {
    log.warn(
      { key: key.id, cause: String(error), regenerate },
      'cannot tell which tokens a leaked key could have read',
    )
    return answer(false, none)
  }
}
