import type { Sql } from '@instatunnel/kit/postgres'
import { SCOPES } from '@instatunnel/kit/scope'
import type { UserHolder } from './domain/holder.ts'
import { isOpen } from './domain/session.ts'
import { scopesWithin, sharedStanding } from './domain/sharing.ts'
import { createKnown, type Known, type KnownOptions } from './known.ts'
import { findSessions, type SessionStanding } from './store/session-store.ts'

const MAX_SESSIONS = 100_000

/** A session that lives, as its user stands now. It may expire while it is known: `endsAt` says when. */
export interface KnownSession {
  readonly holder: UserHolder & { readonly endsAt: Date }
}

/** What is known of sessions stands on. */
export interface KnownSessionsOptions extends Pick<KnownOptions<KnownSession>, 'isHeard' | 'now'> {
  readonly sql: Sql
}

/** Remembers the sessions that live, by their ids, also those whose time is over; those that ended are unknown. */
export const createKnownSessions = ({ sql, isHeard, now }: KnownSessionsOptions): Known<KnownSession> =>
  createKnown<KnownSession>({
    async lookUp(asked) {
      const found = await findSessions(
        sql,
        asked.map(({ id }) => id),
      )
      // Whether one is over is asked at each use: by a clock that was wrong it would be unknown for a while.
      const live = found.filter(isOpen)
      const knownOf = new Map(asked.map(({ id, known }) => [id, known]))
      return new Map(
        live.map((session) => {
          const known = knownOf.get(session.id)
          return [
            session.id,
            known && isSame(known, session) ? known : { holder: sessionHolder(session.id, session) },
          ]
        }),
      )
    },
    tagsOf: ({ holder }) => [holder.credential.id, holder.user.userId],
    max: MAX_SESSIONS,
    isHeard,
    now,
  })

/** Whether the session is as it was known; its user never is another. */
const isSame = ({ holder: { user, endsAt } }: KnownSession, { plan, role, expiresAt }: SessionStanding) =>
  user.plan === plan && user.role === role && endsAt.getTime() === expiresAt.getTime()

/** Who holds a session. */
export function sessionHolder(id: string, session: SessionStanding): KnownSession['holder'] {
  const { role, expiresAt: endsAt } = session
  const expiresAt = Math.floor(endsAt.getTime() / 1000)
  return {
    kind: 'user',
    user: sharedStanding(session),
    credential: { type: 'session', id, sessionId: id, expiresAt },
    scopes: scopesWithin(SCOPES, role),
    endsAt,
    endsAs: 'session_expired',
  }
}
