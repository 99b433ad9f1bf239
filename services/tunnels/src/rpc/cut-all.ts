import type { CutConnections } from '../domain/cut.ts'

// A plan may allow hundreds of tunnels.
const AT_ONCE = 16
const WITHIN_MS = 2000

/**
 * Has agents cut off that hold an old token of one of these tunnels, 16 tunnels at once, and tells how many agents that
 * were. After 2 s no further tunnel is asked about: who waits for the answer gets it, and relays hear of every new token by its
 * event as well.
 */
export async function cutAll(
  cutConnections: CutConnections,
  tunnels: readonly { readonly id: string; readonly tokenGeneration: number }[],
): Promise<number> {
  const until = performance.now() + WITHIN_MS
  const left = tunnels.values()
  let count = 0
  const cutNext = async () => {
    for (const { id, tokenGeneration } of left) {
      if (performance.now() >= until) return
      const cut = await cutConnections({
        credentialType: 'tunnel_token',
        credentialId: id,
        reason: 'token_regenerated',
        tokenGeneration,
      })
      count += cut
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, cutNext))
  return count
}
