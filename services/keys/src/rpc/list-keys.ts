import { paged, pageOf } from '@instatunnel/kit/page'
import { identityOf, type Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { ListKeysRequest, ListKeysResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { KEY_ID } from '../domain/key.ts'
import { listKeys as selectKeys } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { listFields } from './key-fields.ts'
import { messageOf } from './key-message.ts'

/** Lists the caller's keys, newest first: those in one state, or all that are not revoked. */
export const listKeys =
  ({ sql, now }: Deps): Unary<ListKeysRequest, ListKeysResponse> =>
  async (request, call) => {
    const { state } = validate(listFields, request)
    const page = pageOf(request, KEY_ID)
    const time = now()
    const found = await selectKeys(sql, identityOf(call).userId, page, { state, now: time })
    const { rows, nextPageToken } = paged(found, page)
    return { keys: rows.map((key) => messageOf(key, time)), nextPageToken }
  }
