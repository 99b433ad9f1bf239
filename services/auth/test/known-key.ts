import { expandScopes } from '@instatunnel/kit/scope'
import type { KeyRecord } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { type KeyOwner, type KnownKey, knownKeyOf } from '../src/domain/known-key.ts'

/** A key as keys would tell of it: one that works everywhere and holds everything, unless said otherwise. */
export const aRecord = (fields: Partial<KeyRecord> = {}): KeyRecord => ({
  id: 'key_01h00000000000000000000000',
  userId: 'user_01h00000000000000000000000',
  sessionId: undefined,
  masked: 'it_***...abc',
  enabled: true,
  expiresAt: undefined,
  rateLimitEnabled: true,
  isMetered: false,
  allowedIps: [],
  allowedSubdomains: [],
  deprecatedAt: undefined,
  sunsetAt: undefined,
  secretGeneration: 0,
  oldSecretEndsAt: undefined,
  ...fields,
  permissions: expandScopes(fields.permissions ?? ['*']),
})

/** A key of a user on the free plan, unless said otherwise. */
export const aKey = (fields: Partial<KeyRecord> = {}, owner: Partial<KeyOwner> = {}): KnownKey => {
  const record = aRecord(fields)
  return knownKeyOf(record, { userId: record.userId, plan: 'free', role: 'user', status: 'active', ...owner })
}
