import { isId } from '@instatunnel/kit/id'
import { paged, pageOf } from '@instatunnel/kit/page'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ListUserSessionsRequest } from '@instatunnel/proto/auth/v1/admin_service'
import type { ListSessionsResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { listSessions } from '../store/session-store.ts'
import { findUser } from '../store/user-store.ts'
import type { Deps } from './deps.ts'
import { userNotFound } from './user-not-found.ts'

/** Lists an account's live sessions, newest first. */
export const listUserSessions =
  ({ sql, now }: Deps): Unary<ListUserSessionsRequest, ListSessionsResponse> =>
  async (request, call) => {
    const { userId } = request
    const page = pageOf(request, 'ses_')
    if (!isId(userId, 'user_') || !(await findUser(sql, userId))) throw userNotFound()
    const { rows, nextPageToken } = paged(await listSessions(sql, userId, page, now()), page)
    const current = identityOf(call).credential.sessionId
    return {
      sessions: rows.map((session) => ({ ...session, current: session.id === current })),
      nextPageToken,
    }
  }
