import type { ApiKey, ListKeysResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import type { Api } from '../api.ts'
import { allPages } from './all-pages.ts'
import type { Json } from './json.ts'

/** An API key as the API shows it. */
export type Key = Json<ApiKey>

/** Every key of the account, newest first. */
export const listAllKeys = (api: Api): Promise<Key[]> =>
  allPages(api, '/v1/auth/keys', (page: Json<ListKeysResponse>) => page.keys)
