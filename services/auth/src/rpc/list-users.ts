import { paged, pageOf } from '@instatunnel/kit/page'
import type { Unary } from '@instatunnel/kit/unary'
import { hasControls, validate } from '@instatunnel/kit/validate'
import type { ListUsersRequest, ListUsersResponse } from '@instatunnel/proto/auth/v1/admin_service'
import { z } from 'zod'
import { listUsers as listAccounts } from '../store/user-store.ts'
import type { Deps } from './deps.ts'

const request = z.object({
  email: z.string().refine((text) => text.length <= 254 && !hasControls(text), 'must be an e-mail address'),
})

/** Lists accounts, newest first. */
export const listUsers =
  ({ sql }: Deps): Unary<ListUsersRequest, ListUsersResponse> =>
  async (input) => {
    const { email } = validate(request, input)
    const page = pageOf(input, 'user_')
    const { rows, nextPageToken } = paged(await listAccounts(sql, page, email), page)
    return { users: rows, nextPageToken }
  }
