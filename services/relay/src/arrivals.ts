// An agent that lost its relay is back within this, or is not coming soon.
const EXPECTED_MS = 10_000
// What a visitor waits at most; an agent's first attempts all fall within it.
const WAIT_MS = 3000
const MAX_REMEMBERED = 100_000

/** Visitors that wait for an agent which was here a moment ago. */
export interface Arrivals {
  /** The agent of a subdomain went without saying that it leaves: it may be back soon. */
  gone(subdomain: string): void
  /** A subdomain has an agent, here or at a peer. */
  arrived(subdomain: string): void
  /** True once an agent has arrived; false at once where none is expected, or after 3 s. */
  expected(subdomain: string): Promise<boolean>
  close(): void
}

/** Remembers who may be back; `now` counts on evenly (kit/clock, monotonicNow). */
export function createArrivals({ now }: { now: () => Date }): Arrivals {
  const goneAt = new Map<string, number>()
  const waiting = new Map<string, Set<(arrived: boolean) => void>>()
  const settle = (subdomain: string, arrived: boolean) => {
    const all = waiting.get(subdomain)
    waiting.delete(subdomain)
    for (const resolve of all ?? []) resolve(arrived)
  }
  return {
    gone(subdomain) {
      // Insertion order is the order of time: the first is the oldest.
      goneAt.delete(subdomain)
      goneAt.set(subdomain, now().getTime())
      for (const [oldest, at] of goneAt) {
        if (goneAt.size <= MAX_REMEMBERED && at > now().getTime() - EXPECTED_MS) break
        goneAt.delete(oldest)
      }
    },
    arrived(subdomain) {
      goneAt.delete(subdomain)
      settle(subdomain, true)
    },
    async expected(subdomain) {
      const at = goneAt.get(subdomain)
      if (at === undefined || at <= now().getTime() - EXPECTED_MS) return false
      return new Promise((resolve) => {
        const all = waiting.get(subdomain) ?? new Set()
        waiting.set(subdomain, all)
        const settled = (arrived: boolean) => {
          clearTimeout(timer)
          all.delete(settled)
          if (all.size === 0 && waiting.get(subdomain) === all) waiting.delete(subdomain)
          resolve(arrived)
        }
        const timer = setTimeout(() => settled(false), WAIT_MS)
        all.add(settled)
      })
    },
    close() {
      for (const subdomain of [...waiting.keys()]) settle(subdomain, false)
    },
  }
}
