import type { ServiceClient } from '@instatunnel/kit/client'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { LRUCache } from 'lru-cache'

// A tunnel that was made or deleted is seen as such within this.
const TTL_MS = 5000
const MAX_CACHED = 50_000
const MAX_BATCH = 500
/**
 * Invented names cost their inventor nothing. One batch is looked up at a time, within milliseconds: more names than a relay
 * can be asked for in a second never wait together, unless tunnels does not answer.
 */
const MAX_WAITING = 20_000

type Fault = 'offline' | 'unknown' | 'unavailable'

/** Whether a tunnel that has no agent exists. */
export interface KnownTunnels {
  /** offline where the tunnel exists, unknown where it does not, unavailable where that cannot be found out. */
  faultOf(subdomain: string): Promise<Fault>
  /** Asks anew about a name that has changed hands. */
  forget(subdomain: string): void
}

/** Asks tunnels about many names at once, each once for all who want to know, and caches the answers for 5 s. */
export function createKnownTunnels(options: {
  tunnels: Pick<ServiceClient<typeof TunnelDirectoryServiceService>, 'lookUpSubdomains'>
  /** Counts on evenly (kit/clock, monotonicNow). */
  now: () => Date
}): KnownTunnels {
  const { tunnels, now } = options
  const cached = new LRUCache<string, 'offline' | 'unknown'>({
    max: MAX_CACHED,
    ttl: TTL_MS,
    ttlResolution: 0,
    perf: { now: () => now().getTime() },
  })
  /** Names that are not asked about yet, first come first served, and those that tunnels is being asked about. */
  const waiting = new Map<string, PromiseWithResolvers<Fault>>()
  let asked = new Map<string, PromiseWithResolvers<Fault>>()
  let isAsking = false

  const nextBatch = () => {
    const batch = new Map([...waiting].slice(0, MAX_BATCH))
    for (const subdomain of batch.keys()) waiting.delete(subdomain)
    return batch
  }
  const ask = async (batch: ReadonlyMap<string, PromiseWithResolvers<Fault>>) => {
    try {
      const { found } = await tunnels.lookUpSubdomains({ subdomains: [...batch.keys()] })
      const existing = new Set(found)
      for (const [subdomain, answer] of batch) {
        const fault = existing.has(subdomain) ? 'offline' : 'unknown'
        // A name that was forgotten meanwhile may have changed hands since tunnels looked.
        if (asked.get(subdomain) === answer) cached.set(subdomain, fault)
        answer.resolve(fault)
      }
    } catch {
      // The others would wait for the same.
      for (const answer of [...batch.values(), ...waiting.values()]) answer.resolve('unavailable')
      waiting.clear()
    }
  }
  const askAll = async () => {
    isAsking = true
    while (waiting.size > 0) {
      asked = nextBatch()
      await ask(new Map(asked))
      asked.clear()
    }
    isAsking = false
  }

  return {
    forget(subdomain) {
      cached.delete(subdomain)
      asked.delete(subdomain)
    },
    async faultOf(subdomain) {
      // No tunnel has such a name: tunnels need not be asked.
      if (subdomain.length > 63) return 'unknown'
      const known = cached.get(subdomain)
      if (known !== undefined) return known
      const underWay = asked.get(subdomain) ?? waiting.get(subdomain)
      if (underWay) return underWay.promise
      if (waiting.size >= MAX_WAITING) return 'unavailable'
      const answer = Promise.withResolvers<Fault>()
      waiting.set(subdomain, answer)
      // What comes in the same turn of the event loop goes along.
      if (!isAsking) {
        isAsking = true
        setImmediate(askAll)
      }
      return answer.promise
    },
  }
}
