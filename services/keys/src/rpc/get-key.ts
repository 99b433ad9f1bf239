import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ApiKey, GetKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { keyIdFrom, visibleTo } from '../domain/key.ts'
import { findKey } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './key-message.ts'

/** Returns a key: the caller's own, or anyone's with admin:read; a revoked one for 30 days. */
export const getKey =
  ({ sql, now }: Deps): Unary<GetKeyRequest, ApiKey> =>
  async (request, call) => {
    const key = await findKey(sql, keyIdFrom(request.id))
    const time = now()
    return messageOf(visibleTo(identityOf(call), 'admin:read', key, time), time)
  }
