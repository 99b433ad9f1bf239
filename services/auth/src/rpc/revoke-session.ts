import { isId } from '@instatunnel/kit/id'
import { Refusal } from '@instatunnel/kit/refusal'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { RevokeSessionRequest, RevokeSessionResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { tellRevoked } from '../store/outbox.ts'
import { endSession } from '../store/session-store.ts'
import type { Deps } from './deps.ts'

/** Ends one of the caller's sessions. */
export const revokeSession =
  ({ sql, evict, now }: Deps): Unary<RevokeSessionRequest, RevokeSessionResponse> =>
  async ({ id }, call) => {
    const { userId } = identityOf(call)
    if (!isId(id, 'ses_')) throw sessionNotFound()
    await sql.begin(async (tx) => {
      if (!(await endSession(tx, { id, userId }, now()))) throw sessionNotFound()
      await tellRevoked(tx, [{ id }], { userId, reason: 'revoked' }, now())
    })
    await evict({ sessions: [id] })
    return { success: true }
  }

const sessionNotFound = () => new Refusal('SESSION_NOT_FOUND', 'You have no such session')
