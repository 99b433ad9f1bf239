import { expandScopes } from '@instatunnel/kit/scope'
import type { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { type Key, keyNotFound } from '../domain/key.ts'

/** What a decision needs to know of a key; one that is revoked is as one that never was. */
export function recordOf(key: Key | undefined): KeyRecord {
  if (!key || key.revokedAt) throw keyNotFound()
  const { id, userId, masked, enabled } = key
  return {
    id,
    userId,
    sessionId: key.sessionId ?? undefined,
    masked,
    permissions: expandScopes(key.permissions),
    enabled,
    expiresAt: key.expiresAt ?? undefined,
  }
}
