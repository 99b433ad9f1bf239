import { paged, pageOf } from '@instatunnel/kit/page'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import type { ListKeysRequest, ListKeysResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { KEY_ID } from '../domain/key.ts'
import { listKeys as selectKeys } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { messageOf } from './key-message.ts'

/** Lists the caller's keys, newest first. */
export const listKeys =
  ({ sql }: Deps): Unary<ListKeysRequest, ListKeysResponse> =>
  async (request, call) => {
    const page = pageOf(request, KEY_ID)
    const { rows, nextPageToken } = paged(await selectKeys(sql, identityOf(call).userId, page), page)
    return { keys: rows.map(messageOf), nextPageToken }
  }
