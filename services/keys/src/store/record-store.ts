import type { ISql } from '@instatunnel/kit/postgres'
import type { Key } from '../domain/key.ts'
import { foundByHash } from './key-store.ts'

/** What decisions are made by: a part of a key, as they are many. */
export type Recorded = Pick<
  Key,
  | ('id' | 'userId' | 'sessionId' | 'masked' | 'permissions' | 'enabled' | 'expiresAt')
  | ('allowedIps' | 'allowedSubdomains' | 'rotatedAt' | 'oldEndsAt' | 'rotations')
  | ('rateLimitEnabled' | 'rateLimitMax' | 'rateLimitTimeWindow' | 'remaining')
>

/** The same, of a key that was found by the hash of a secret. */
export interface FoundRecord extends Recorded {
  /** Which of the hashes that were looked for, counted from 0. */
  readonly at: number
  /** True where the hash is that of the secret before the last rotation. */
  readonly isByOldSecret: boolean
}

/** The keys, but those that are revoked, whose secret has one of these hashes, or had it before a rotation whose grace lasts. */
export const findRecordsByHash = (sql: ISql, hashes: readonly Buffer[], now: Date) => sql<FoundRecord[]>`
  with ${foundByHash(sql, hashes, now)}
  select
    id, user_id, session_id, masked, permissions, enabled, expires_at, allowed_ips, allowed_subdomains,
    rotated_at, old_ends_at, rotations, rate_limit_enabled, remaining,
    max_uses as rate_limit_max, time_window as rate_limit_time_window, at, is_by_old_secret
  from api_keys join found on found_id = id left join key_meters on key_meters.key_id = id
  where revoked_at is null
  order by at`
