import { paged, pageOf } from '@instatunnel/kit/page'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ListSessionsRequest, ListSessionsResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { listSessions as listLive } from '../store/session-store.ts'
import type { Deps } from './deps.ts'

/** Lists the caller's live sessions, newest first. */
export const listSessions =
  ({ sql, now }: Deps): Unary<ListSessionsRequest, ListSessionsResponse> =>
  async (request, call) => {
    const { userId, credential } = identityOf(call)
    const page = pageOf(request, 'ses_')
    const { rows, nextPageToken } = paged(await listLive(sql, userId, page, now()), page)
    const sessions = rows.map((session) => ({ ...session, current: session.id === credential.sessionId }))
    return { sessions, nextPageToken }
  }
