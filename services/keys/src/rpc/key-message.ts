import type { ApiKey } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Key } from '../domain/key.ts'
import { meteredAsOf } from '../domain/metering.ts'
import { oldSecretInForce } from '../domain/old-secret.ts'
import { restorableUntil } from '../domain/revocation.ts'
import { stateOf } from '../domain/state.ts'

/** A key as clients see it now. */
export function messageOf(kept: Key, now: Date): ApiKey {
  const key = meteredAsOf(kept, now)
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
    state: stateOf(key, now),
    remaining: key.remaining ?? undefined,
    refillAmount: key.refillAmount ?? undefined,
    refillInterval: key.refillInterval ?? undefined,
    lastRefillAt: key.lastRefillAt ?? undefined,
    rateLimitEnabled: key.rateLimitEnabled,
    rateLimitTimeWindow: key.rateLimitTimeWindow ?? undefined,
    rateLimitMax: key.rateLimitMax ?? undefined,
    allowedIps: [...key.allowedIps],
    allowedSubdomains: [...key.allowedSubdomains],
    revokedAt: key.revokedAt ?? undefined,
    revokedReason: key.revokedReason ?? undefined,
    restorableUntil: restorableUntil(key, now),
    oldSecret: oldSecretOf(key, now),
  }
}

function oldSecretOf(key: Key, now: Date): ApiKey['oldSecret'] {
  const old = oldSecretInForce(key, now)
  if (!old) return undefined
  return {
    key: old.masked,
    rotatedAt: old.rotatedAt,
    endsAt: old.endsAt,
    lastUsedAt: old.lastRequest ?? undefined,
  }
}
