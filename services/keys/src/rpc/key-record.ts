import { hash } from 'node:crypto'
import { expandScopes } from '@instatunnel/kit/scope'
import { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { isMetered } from '../domain/metering.ts'
import type { FoundRecord, Recorded } from '../store/record-store.ts'

const REVISION_BYTES = 16

/** What a decision needs to know of a key; by its old secret, where it was found by that. */
export function recordOf(key: Recorded & Partial<Pick<FoundRecord, 'isByOldSecret'>>): KeyRecord {
  const { id, userId, masked, enabled, rateLimitEnabled, isByOldSecret } = key
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

/** Another one whenever anything of the record is otherwise: a hash of all that is told, so that nothing is left out. */
export const revisionOf = (record: KeyRecord): Buffer =>
  hash('sha256', KeyRecord.encode(record).finish(), 'buffer').subarray(0, REVISION_BYTES)
