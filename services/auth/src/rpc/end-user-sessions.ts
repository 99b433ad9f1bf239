import { isId } from '@instatunnel/kit/id'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  EndUserSessionsRequest,
  EndUserSessionsResponse,
} from '@instatunnel/proto/auth/v1/admin_service'
import { tellRevoked } from '../store/outbox.ts'
import { endAllSessions } from '../store/session-store.ts'
import { lockUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

/** Ends all of an account's sessions, the caller's own included where the account is theirs. */
export const endUserSessions =
  ({ sql, evict, now }: Deps): Unary<EndUserSessionsRequest, EndUserSessionsResponse> =>
  async ({ userId }) => {
    if (!isId(userId, 'user_')) throw userNotFound()
    const ended = await sql.begin(async (tx) => {
      // With the account's row locked, as logins have it: a session begins before this or after.
      if (!(await lockUser(tx, userId))) throw userNotFound()
      const sessions = await endAllSessions(tx, userId, now())
      await tellRevoked(tx, sessions, { userId, reason: 'revoked' }, now())
      return sessions.map(({ id }) => id)
    })
    if (ended.length > 0) await evict({ sessions: ended })
    return { success: true, sessionsEnded: ended.length }
  }
