import type { ApiKey } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Key } from '../domain/key.ts'

/** A key as clients see it. */
export function messageOf(key: Key): ApiKey {
  const { id, name, prefix, start, userId, enabled, metadata, createdAt, updatedAt, requestCount } = key
  const lastRequest = key.lastRequest ?? undefined
  return {
    id,
    name,
    key: key.masked,
    prefix,
    start,
    keyPrefix: start,
    userId,
    sessionId: key.sessionId ?? undefined,
    permissions: [...key.permissions],
    enabled,
    metadata,
    createdAt,
    updatedAt,
    expiresAt: key.expiresAt ?? undefined,
    lastUsed: lastRequest,
    lastUsedAt: lastRequest,
    lastRequest,
    requestCount,
  }
}
