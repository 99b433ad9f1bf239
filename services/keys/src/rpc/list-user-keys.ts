import { paged, pageOf } from '@instatunnel/kit/page'
import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type { ListUserKeysRequest } from '@instatunnel/proto/keys/v1/admin_key_service'
import type { ListKeysResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { KEY_ID } from '../domain/key.ts'
import { listKeys as selectKeys } from '../store/key-store.ts'
import type { Deps } from './deps.ts'
import { listFields } from './key-fields.ts'
import { messageOf } from './key-message.ts'
import { requireUser } from './require-user.ts'

/** Lists an account's keys, newest first: those in one state, or all that are not revoked. */
export const listUserKeys =
  ({ sql, now, auth }: Deps): Unary<ListUserKeysRequest, ListKeysResponse> =>
  async (request, { signal }) => {
    const { state } = validate(listFields, request)
    const page = pageOf(request, KEY_ID)
    await requireUser(request.userId, { auth, signal })
    const time = now()
    const { rows, nextPageToken } = paged(
      await selectKeys(sql, request.userId, page, { state, now: time }),
      page,
    )
    return { keys: rows.map((key) => messageOf(key, time)), nextPageToken }
  }
