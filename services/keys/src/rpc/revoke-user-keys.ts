import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  RevokeUserKeysRequest,
  RevokeUserKeysResponse,
} from '@instatunnel/proto/keys/v1/admin_key_service'
import { tellRevoked } from '../store/outbox.ts'
import { markAllRevoked } from '../store/revocation-store.ts'
import type { Deps } from './deps.ts'
import { reasonFields } from './key-fields.ts'
import { requireUser } from './require-user.ts'

/**
 * Revokes all of an account's keys; then every replica of auth forgets them. Relays hear of each by its event, and cut
 * what it admitted off.
 */
export const revokeUserKeys =
  ({ sql, now, auth, evict }: Deps): Unary<RevokeUserKeysRequest, RevokeUserKeysResponse> =>
  async (request, { signal }) => {
    const { reason } = validate(reasonFields, request)
    const { userId } = request
    await requireUser(userId, { auth, signal })
    const keys = await sql.begin(async (tx) => {
      const time = now()
      const revoked = await markAllRevoked(tx, userId, reason, time)
      // At most a thousand and those of sessions: written without waiting for each.
      await Promise.all(revoked.map((key) => tellRevoked(tx, key, reason, time)))
      return revoked.map(({ id }) => id)
    })
    // Also where none was left: a call before this one may have ended before all had forgotten.
    const { acked, total } = await evict({ keys, users: [userId] })
    return {
      success: true,
      keysRevoked: keys.length,
      replicasAcked: acked.length,
      replicasTotal: total,
    }
  }
