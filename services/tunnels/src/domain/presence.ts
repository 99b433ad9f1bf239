import type { Tunnel } from './tunnel.ts'

/** Which tunnels have an agent, as far as that is known here. */
export interface Presence {
  /** True while an agent carries the tunnel's traffic; while that cannot be known, what was so last. */
  isActive(tunnelId: string): boolean
  /** Since when a tunnel has been without an agent, as was seen here; undefined where it has one, or nobody knows. */
  absentSince(tunnelId: string): Date | undefined
}

/** What tells since when a tunnel has been of no use. */
export type LastUse = Pick<Tunnel, 'id' | 'createdAt' | 'lastConnected'>

/** Since when a tunnel has waited for an agent; undefined where it has one, or nobody knows. */
export function idleSince({ id, createdAt, lastConnected }: LastUse, presence: Presence): Date | undefined {
  const absent = presence.absentSince(id)
  return absent && new Date(Math.max(absent.getTime(), createdAt.getTime(), lastConnected?.getTime() ?? 0))
}

/** Those that have waited for an agent since a time or longer, the longest wait first. */
export function idleUntil<T extends LastUse>(tunnels: readonly T[], until: Date, presence: Presence): T[] {
  const idle = tunnels.flatMap((tunnel) => {
    const since = idleSince(tunnel, presence)
    return since && since <= until ? [{ tunnel, since: since.getTime() }] : []
  })
  return idle.sort((a, b) => a.since - b.since).map(({ tunnel }) => tunnel)
}
