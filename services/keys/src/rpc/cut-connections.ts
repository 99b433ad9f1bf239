import type { Deps } from './deps.ts'

// The key is revoked and its event is on its way: whoever deletes it waits for nothing but the number.
const WAIT_MS = 1000

/**
 * Has the live connections that were admitted with a revoked key cut off, and tells how many there were: 0 where
 * tunnels is away or takes too long. They are cut all the same, for the relays hear of the key by its event.
 */
export async function cutConnections(
  { tunnels, log }: Pick<Deps, 'tunnels' | 'log'>,
  keyId: string,
): Promise<number> {
  const request = { credentialType: 'api_key', credentialId: keyId, reason: 'key_revoked' }
  try {
    // Not tied to the caller's signal: one that goes away must not keep the connections alive any longer.
    const { connectionsCut } = await tunnels.cutConnections(request, { signal: AbortSignal.timeout(WAIT_MS) })
    return connectionsCut
  } catch (error) {
    log.warn({ key: keyId, cause: String(error) }, 'nobody tells how many connections were cut')
    return 0
  }
}
