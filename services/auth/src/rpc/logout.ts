import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { LogoutRequest, LogoutResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { tellRevoked } from '../store/outbox.ts'
import { endSession } from '../store/session-store.ts'
import type { Deps } from './deps.ts'

/** Ends the presented credential. A key that belongs to a session ends with it. */
export const logout =
  ({ sql, keys, cookie, evict, now }: Deps): Unary<LogoutRequest, LogoutResponse> =>
  async (_, call) => {
    const { userId, credential } = identityOf(call)
    const { id, sessionId } = credential
    if (sessionId === undefined) {
      await keys.revokeKey({ keyId: id, reason: 'logout' }, { signal: call.signal })
      await evict({ keys: [id] })
    } else {
      await sql.begin(async (tx) => {
        const ended = await endSession(tx, { id: sessionId, userId }, now())
        if (ended) await tellRevoked(tx, [{ id: sessionId }], { userId, reason: 'logout' }, now())
      })
      await evict({ sessions: [sessionId] })
    }
    for (const cleared of cookie.clear()) call.setHeader('set-cookie', cleared)
    return { success: true }
  }
