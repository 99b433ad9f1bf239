import type {
  ApiKey,
  CreateKeyResponse,
  ListKeysResponse,
  OldSecret,
  RotateKeyResponse,
} from '@instatunnel/proto/keys/v1/api_key_service'
import type { Api } from '../api.ts'
import { allPages } from './all-pages.ts'
import type { Json } from './json.ts'

/** An API key as the API shows it. */
export type Key = Json<Omit<ApiKey, 'oldSecret'>> & { readonly old_secret?: Json<OldSecret> }

/** A key with its secret, as the API shows it once. */
export type KeyWithSecret = Omit<Json<CreateKeyResponse & RotateKeyResponse>, 'api_key'> & {
  readonly api_key: Key
}

/** The states that keys are listed by. */
export const KEY_STATES = ['active', 'disabled', 'expired', 'revoked'] as const

/** Every key of the account in this state, or in any but revoked; newest first. */
export const listAllKeys = (api: Api, state?: string): Promise<Key[]> =>
  allPages(
    api,
    '/v1/auth/keys',
    (page: Omit<Json<ListKeysResponse>, 'keys'> & { keys: Key[] }) => page.keys,
    { state },
  )

/** The path of a key. */
export const keyPath = (id: string) => `/v1/auth/keys/${encodeURIComponent(id)}`
