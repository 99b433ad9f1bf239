import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { LogoutRequest, LogoutResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { ownCookiesOf } from '../own-cookies.ts'
import { tellRevoked } from '../store/outbox.ts'
import { endSession } from '../store/session-store.ts'
import type { Deps } from './deps.ts'

/**
 * Ends the presented credential, and the session of each cookie of ours that came with it. A key that belongs to a session
 * ends with it.
 */
export const logout =
  ({ sql, keys, cookie, sessionClaimsOf, evict, now }: Deps): Unary<LogoutRequest, LogoutResponse> =>
  async (_, call) => {
    const { userId, credential } = identityOf(call)
    const cookies = ownCookiesOf(call)
    const claims = await Promise.all(cookie.read(cookies).map(sessionClaimsOf))
    // By its id, so that each is ended once.
    const sessions = new Map(claims.flatMap((each) => (each ? [[each.sessionId, each.userId]] : [])))
    if (credential.sessionId !== undefined) sessions.set(credential.sessionId, userId)
    await sql.begin(async (tx) => {
      // In one order, so that no two calls wait for one another.
      for (const [id, owner] of [...sessions].sort()) {
        const ended = await endSession(tx, { id, userId: owner }, now())
        if (ended) await tellRevoked(tx, [{ id }], { userId: owner, reason: 'logout' }, now())
      }
    })
    if (sessions.size > 0) await evict({ sessions: [...sessions.keys()] })
    // Last, so that the call may be made again where this fails.
    if (credential.sessionId === undefined) {
      await keys.revokeKey({ keyId: credential.id, reason: 'logout' }, { signal: call.signal })
      await evict({ keys: [credential.id] })
    }
    for (const cleared of cookie.clear(cookies)) call.setHeader('set-cookie', cleared)
    return { success: true }
  }
