import { status } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { LRUCache } from 'lru-cache'

// A tunnel that was made or deleted is seen as such within this.
const REMEMBERED_MS = 5000
const REMEMBERED = 50_000
// Names that nobody has are cheap to think up: so many are asked about at once, the others are put off.
const MAX_ASKED = 64

/** Whether a tunnel that has no agent exists. */
export interface KnownTunnels {
  /** offline where the tunnel exists, unknown where it does not, unavailable where that cannot be found out. */
  faultOf(subdomain: string): Promise<'offline' | 'unknown' | 'unavailable'>
  /** Asks anew about a name that has changed hands. */
  forget(subdomain: string): void
}

/** Asks tunnels, once for all who want to know, and remembers for 5 s. */
export function createKnownTunnels(options: {
  tunnels: Pick<ServiceClient<typeof TunnelDirectoryServiceService>, 'lookUpSubdomain'>
  now: () => Date
}): KnownTunnels {
  const known = new LRUCache<string, 'offline' | 'unknown'>({
    max: REMEMBERED,
    ttl: REMEMBERED_MS,
    ttlResolution: 0,
    perf: { now: () => options.now().getTime() },
  })
  const asked = new Map<string, Promise<'offline' | 'unknown' | 'unavailable'>>()

  const ask = (subdomain: string) => {
    const asking = options.tunnels.lookUpSubdomain({ subdomain }).then(
      () => 'offline' as const,
      (error: { code?: unknown }) =>
        error.code === status.NOT_FOUND ? ('unknown' as const) : ('unavailable' as const),
    )
    asked.set(subdomain, asking)
    return asking.then((answer) => {
      // Otherwise the name has changed hands meanwhile, and the answer may be that of before.
      if (asked.get(subdomain) !== asking) return answer
      asked.delete(subdomain)
      if (answer !== 'unavailable') known.set(subdomain, answer)
      return answer
    })
  }
  return {
    forget(subdomain) {
      known.delete(subdomain)
      asked.delete(subdomain)
    },
    async faultOf(subdomain) {
      // No tunnel has such a name: tunnels need not be asked.
      if (subdomain.length > 63) return 'unknown'
      const answer = known.get(subdomain) ?? asked.get(subdomain)
      if (answer !== undefined) return answer
      if (asked.size >= MAX_ASKED) return 'unavailable'
      return ask(subdomain)
    },
  }
}
