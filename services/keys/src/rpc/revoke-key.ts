import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  RevokeKeyRequest,
  RevokeKeyResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { keyIdFrom, keyNotFound } from '../domain/key.ts'
import { lockKey } from '../store/key-store.ts'
import { tellRevoked } from '../store/outbox.ts'
import { markRevoked } from '../store/revocation-store.ts'
import type { Deps } from './deps.ts'
import { reasonFields } from './key-fields.ts'

/** Revokes a key for another service; a second time changes nothing and is not told. */
export const revokeKey =
  ({ sql, now, evict }: Deps): Unary<RevokeKeyRequest, RevokeKeyResponse> =>
  async (request) => {
    const { reason } = validate(reasonFields, request)
    const id = keyIdFrom(request.keyId)
    await sql.begin(async (tx) => {
      const key = await lockKey(tx, id)
      if (!key) throw keyNotFound()
      const time = now()
      if (await markRevoked(tx, id, reason, time)) await tellRevoked(tx, key, reason, time)
    })
    // Also where it was revoked before: whoever did that may have ended before all had forgotten it.
    await evict({ keys: [id] })
    return {}
  }
