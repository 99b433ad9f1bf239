import type { Admitted } from './connections.ts'

// Longer than a connect token is good for.
const REMEMBERED_MS = 120_000
const MAX_REMEMBERED = 100_000
// Clocks differ, and who decides may see a change a moment after its time: within this, order is a guess.
const GUESS_MS = 5000

/** What was granted, to whom and when. */
export type Granted = Pick<Admitted, 'tunnelId' | 'subdomain' | 'userId' | 'credential' | 'issuedAt'>

/** What has ended or changed lately, so that nobody who was let through before that stays in after it. */
export interface EndedCredentials {
  /** A key, a session, a tunnel, or a tunnel's token (tokenOf) ended at that time. */
  add(subject: string, at: Date): void
  /** Something about a key, or about a user, is otherwise since then. */
  changed(subject: string, at: Date): void
  /** A tunnel has this subdomain since then. */
  renamed(tunnelId: string, subdomain: string, at: Date): void
  /** A tunnel has this response timeout since then: seconds, undefined for the platform's. */
  limited(tunnelId: string, responseTimeout: number | undefined, at: Date): void
  /** True where what was granted may have ended since. */
  since(granted: Granted): boolean
  /** The response timeout that a tunnel may have since it was granted; undefined where none was heard of. */
  limitSince(granted: Granted): { readonly responseTimeout: number | undefined } | undefined
  /** True where something was heard that may make a difference to what was granted. */
  doubts(granted: Granted): boolean
}

/** What stands for a tunnel's token. */
export const tokenOf = (tunnelId: string) => `token of ${tunnelId}`

const nameOf = (tunnelId: string) => `name of ${tunnelId}`
const limitOf = (tunnelId: string) => `limit of ${tunnelId}`

interface Heard {
  readonly at: number
  readonly kind: 'ended' | 'changed' | 'renamed' | 'limited'
  readonly subdomain?: string
  readonly responseTimeout?: number | undefined
}

/** Remembers for two minutes. */
export function createEndedCredentials(now: () => Date): EndedCredentials {
  const all = new Map<string, Heard>()
  const remember = (subject: string, heard: Heard) => {
    // What is heard again does not undo what was heard after it.
    if ((all.get(subject)?.at ?? 0) > heard.at) return
    all.delete(subject)
    all.set(subject, heard)
    const oldest = now().getTime() - REMEMBERED_MS
    for (const [each, { at }] of all) {
      if (all.size <= MAX_REMEMBERED && at > oldest) break
      all.delete(each)
    }
  }
  const heardOf = ({ tunnelId, credential, userId }: Granted): Heard[] =>
    [
      tunnelId,
      nameOf(tunnelId),
      credential.type === 'tunnel_token' ? tokenOf(tunnelId) : credential.id,
      credential.sessionId,
      userId,
    ].flatMap((subject) => (subject === undefined ? [] : (all.get(subject) ?? [])))

  return {
    add: (subject, at) => remember(subject, { kind: 'ended', at: at.getTime() }),
    changed: (subject, at) => remember(subject, { kind: 'changed', at: at.getTime() }),
    renamed: (tunnelId, subdomain, at) =>
      remember(nameOf(tunnelId), { kind: 'renamed', subdomain, at: at.getTime() }),
    limited: (tunnelId, responseTimeout, at) =>
      remember(limitOf(tunnelId), { kind: 'limited', responseTimeout, at: at.getTime() }),
    limitSince({ tunnelId, issuedAt }) {
      const heard = all.get(limitOf(tunnelId))
      return heard && heard.at >= issuedAt * 1000 - GUESS_MS
        ? { responseTimeout: heard.responseTimeout }
        : undefined
    },
    since(granted) {
      const grantedAt = granted.issuedAt * 1000
      return heardOf(granted).some(({ kind, subdomain, at }) =>
        kind === 'renamed'
          ? subdomain !== granted.subdomain && at >= grantedAt - GUESS_MS
          : kind === 'ended' && at >= grantedAt,
      )
    },
    doubts: (granted) => heardOf(granted).some(({ at }) => at >= granted.issuedAt * 1000 - GUESS_MS),
  }
}
