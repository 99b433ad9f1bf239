import type { ConnectGrant } from '@instatunnel/kit/connect'

// Longer than a connect token is good for.
const REMEMBERED_MS = 120_000
const MAX_REMEMBERED = 100_000

/** What has ended lately, so that nobody who was let through before that gets in after it. */
export interface EndedCredentials {
  /** A key, a session, a tunnel, or a tunnel's token (tokenOf) ended at that time. */
  add(subject: string, at: Date): void
  /** True where what was granted may have ended since. */
  since(grant: ConnectGrant): boolean
}

/** What stands for a tunnel's token. */
export const tokenOf = (tunnelId: string) => `token of ${tunnelId}`

/** Remembers ends for two minutes. */
export function createEndedCredentials(now: () => Date): EndedCredentials {
  const ends = new Map<string, number>()
  return {
    add(subject, at) {
      ends.delete(subject)
      ends.set(subject, at.getTime())
      const oldest = now().getTime() - REMEMBERED_MS
      for (const [each, end] of ends) {
        if (ends.size <= MAX_REMEMBERED && end > oldest) break
        ends.delete(each)
      }
    },
    since({ tunnel, credential, issuedAt }) {
      const presented = credential.type === 'tunnel_token' ? tokenOf(tunnel.id) : credential.id
      return [tunnel.id, presented, credential.sessionId].some(
        (subject) => subject !== undefined && (ends.get(subject) ?? 0) >= issuedAt * 1000,
      )
    },
  }
}
