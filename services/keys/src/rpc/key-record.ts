import { expandScopes } from '@instatunnel/kit/scope'
import type { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { type Key, keyNotFound } from '../domain/key.ts'
import { isMetered } from '../domain/metering.ts'
import type { FoundKey } from '../store/key-store.ts'

/** What a decision needs to know of a key; one that is revoked is as one that never was. */
export function recordOf(key: Key | FoundKey | undefined): KeyRecord {
  if (!key || key.revokedAt) throw keyNotFound()
  const { id, userId, masked, enabled, rateLimitEnabled } = key
  const isByOldSecret = 'isByOldSecret' in key && key.isByOldSecret
  return {
    id,
    userId,
    sessionId: key.sessionId ?? undefined,
    masked,
    permissions: expandScopes(key.permissions),
    enabled,
    expiresAt: key.expiresAt ?? undefined,
    rateLimitEnabled,
    isMetered: isMetered(key),
    allowedIps: [...key.allowedIps],
    allowedSubdomains: [...key.allowedSubdomains],
    deprecatedAt: (isByOldSecret && key.rotatedAt) || undefined,
    sunsetAt: (isByOldSecret && key.oldEndsAt) || undefined,
    rateLimitMax: key.rateLimitMax ?? undefined,
    rateLimitTimeWindow: key.rateLimitTimeWindow ?? undefined,
    secretGeneration: isByOldSecret ? key.rotations - 1 : key.rotations,
    oldSecretEndsAt: key.oldEndsAt ?? undefined,
  }
}
