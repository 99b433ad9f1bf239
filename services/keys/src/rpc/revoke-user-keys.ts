import { scopeMissing } from '@instatunnel/kit/guard'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  RevokeUserKeysRequest,
  RevokeUserKeysResponse,
} from '@instatunnel/proto/keys/v1/admin_key_service'
import { isLeaked } from '../domain/revocation.ts'
import { tellRevoked } from '../store/outbox.ts'
import { markAllRevoked } from '../store/revocation-store.ts'
import type { Deps } from './deps.ts'
import { deletionFields } from './key-fields.ts'
import { leakedTokens, NOT_LEAKED } from './leaked-tokens.ts'
import { requireUser } from './require-user.ts'

/**
 * Revokes all of an account's keys; then every replica of auth forgets them. Relays hear of each by its event, and cut
 * what it admitted off. Of those that leaked, it tells of the tunnels' tokens.
 */
export const revokeUserKeys =
  (deps: Deps): Unary<RevokeUserKeysRequest, RevokeUserKeysResponse> =>
  async (request, call) => {
    const { sql, now, auth, evict } = deps
    const caller = identityOf(call)
    const { reason, regenerate } = validate(deletionFields, request)
    for (const scope of regenerate ? (['tunnels:write', 'admin:write'] as const) : [])
      if (!caller.scopes.has(scope)) throw scopeMissing(scope)
    const { userId } = request
    await requireUser(userId, { auth, signal: call.signal })
    const keys = await sql.begin(async (tx) => {
      const time = now()
      const revoked = await markAllRevoked(tx, userId, reason, time)
      // At most a thousand and those of sessions: written without waiting for each.
      await Promise.all(revoked.map((key) => tellRevoked(tx, key, reason, time)))
      return revoked.map(({ id }) => id)
    })
    // Also where none was left: a call before this one may have ended before all had forgotten.
    const { acked, total } = await evict({ keys, users: [userId] })
    const mayBeNamed = caller.scopes.has('tunnels:read') && caller.scopes.has('admin:read')
    // Only now: a replica that still admitted a key would show it the new tokens.
    const { connectionsCut: _, ...leaked } = isLeaked(reason)
      ? await leakedTokens(deps, { keys: { userId }, userId, caller, mayBeNamed, regenerate })
      : NOT_LEAKED
    return {
      ...leaked,
      success: true,
      keysRevoked: keys.length,
      replicasAcked: acked.length,
      replicasTotal: total,
    }
  }
