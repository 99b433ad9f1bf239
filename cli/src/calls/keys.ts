import type {
  ApiKey,
  CreateKeyResponse,
  OldSecret,
  RotateKeyResponse,
} from '@instatunnel/proto/keys/v1/api_key_service'
import type { Api } from '../api.ts'
import { fields, flag, list, number, optional, type Shape, secret, text, time } from '../shape.ts'
import { allPages } from './all-pages.ts'
import type { Json } from './json.ts'

/** An API key as the API shows it. */
export type Key = Json<Omit<ApiKey, 'oldSecret'>> & { readonly old_secret?: Json<OldSecret> }

/** What the command reads of a key. */
export const KEY_SHAPE: Shape = fields({
  ...{ id: text, name: text, state: text, key: text, start: text, user_id: text },
  ...{ permissions: list(text), allowed_ips: list(text), allowed_subdomains: list(text) },
  ...{ session_id: optional(text), revoked_reason: optional(text), metadata: optional(fields({})) },
  ...{ request_count: number, remaining: optional(number), refill_amount: optional(number) },
  ...{ refill_interval: optional(number), rate_limit_enabled: flag, rate_limit_max: optional(number) },
  ...{ rate_limit_time_window: optional(number), created_at: time, updated_at: time },
  ...{ expires_at: optional(time), last_used: optional(time), last_refill_at: optional(time) },
  ...{ revoked_at: optional(time), restorable_until: optional(time) },
  old_secret: optional(fields({ key: text, ends_at: time, last_used_at: optional(time) })),
})

/** A key with its secret, as the API shows it once. */
export type KeyWithSecret = Omit<Json<CreateKeyResponse & RotateKeyResponse>, 'api_key'> & {
  readonly api_key: Key
}

/** What is read of such an answer at first: a secret that was just made is shown before anything else can go wrong. */
export const SECRET_SHAPE: Shape = fields({ key: secret })

/** The states that keys are listed by. */
export const KEY_STATES = ['active', 'disabled', 'expired', 'revoked'] as const

/** Every key of the account in this state, or in any but revoked; newest first. */
export const listAllKeys = (api: Api, state?: string): Promise<Key[]> =>
  allPages(api, { path: '/v1/auth/keys', field: 'keys', item: KEY_SHAPE, query: { state } })

/** The path of a key. */
export const keyPath = (id: string) => `/v1/auth/keys/${encodeURIComponent(id)}`
