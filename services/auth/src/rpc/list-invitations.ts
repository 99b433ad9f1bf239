import { paged, pageOf } from '@instatunnel/kit/page'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  ListInvitationsRequest,
  ListInvitationsResponse,
} from '@instatunnel/proto/auth/v1/admin_service'
import { INVITATION_ID } from '../domain/invitation.ts'
import { listInvitations as selectInvitations } from '../store/invitation-store.ts'
import type { Deps } from './deps.ts'

/** Lists the invitations that can be accepted, newest first. */
export const listInvitations =
  ({ sql, now }: Deps): Unary<ListInvitationsRequest, ListInvitationsResponse> =>
  async (input) => {
    const page = pageOf(input, INVITATION_ID)
    const { rows, nextPageToken } = paged(await selectInvitations(sql, page, now()), page)
    return { invitations: rows, nextPageToken }
  }
