import { isDeepStrictEqual } from 'node:util'
import type { Key } from './key.ts'
import type { Metering } from './metering.ts'

/** What people choose about a key and may choose anew, by the names on the wire. */
export const CHOICES = [
  'name',
  'permissions',
  'enabled',
  'metadata',
  'expires_in',
  'remaining',
  'refill_amount',
  'refill_interval',
  'rate_limit_enabled',
  'rate_limit_time_window',
  'rate_limit_max',
  'allowed_ips',
  'allowed_subdomains',
] as const

/** One choice. */
export type Choice = (typeof CHOICES)[number]

/** What an update may set. */
export type Chosen = Metering &
  Pick<
    Key,
    'name' | 'permissions' | 'enabled' | 'metadata' | 'expiresAt' | 'allowedIps' | 'allowedSubdomains'
  >

// What a key's meter keeps, by the names that an ApiKey has.
const METERED: readonly string[] = [
  'remaining',
  'refill_amount',
  'refill_interval',
  'rate_limit_time_window',
  'rate_limit_max',
]

const FIELDS = [
  ['name', 'name'],
  ['permissions', 'permissions'],
  ['enabled', 'enabled'],
  ['metadata', 'metadata'],
  ['expires_at', 'expiresAt'],
  ['remaining', 'remaining'],
  ['refill_amount', 'refillAmount'],
  ['refill_interval', 'refillInterval'],
  ['rate_limit_enabled', 'rateLimitEnabled'],
  ['rate_limit_time_window', 'rateLimitTimeWindow'],
  ['rate_limit_max', 'rateLimitMax'],
  ['allowed_ips', 'allowedIps'],
  ['allowed_subdomains', 'allowedSubdomains'],
] as const satisfies readonly (readonly [string, keyof Chosen])[]

/** The names, as an ApiKey has them, of what differs between two states of a key. */
export const changedFields = (before: Chosen, after: Chosen): string[] =>
  FIELDS.flatMap(([field, name]) => (isDeepStrictEqual(before[name], after[name]) ? [] : [field]))

/** True where one of these fields says how uses are counted. */
export const isMeterChanged = (fields: readonly string[]): boolean =>
  fields.some((field) => METERED.includes(field))

/** True where only servers should decide about one of these fields. */
export const isServerOnly = (fields: readonly string[]): boolean =>
  isMeterChanged(fields) || fields.includes('rate_limit_enabled')
