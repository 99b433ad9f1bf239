import { isId } from '@instatunnel/kit/id'
import { Refusal } from '@instatunnel/kit/refusal'
import type { Unary } from '@instatunnel/kit/unary'
import type {
  DeleteInvitationRequest,
  DeleteInvitationResponse,
} from '@instatunnel/proto/auth/v1/admin_service'
import { INVITATION_ID } from '../domain/invitation.ts'
import { deleteInvitation as takeAway } from '../store/invitation-store.ts'
import { appendInvitationRevoked } from '../store/outbox.ts'
import type { Deps } from './deps.ts'

/** Revokes an invitation. */
export const deleteInvitation =
  ({ sql, now }: Deps): Unary<DeleteInvitationRequest, DeleteInvitationResponse> =>
  async ({ id }) => {
    if (!isId(id, INVITATION_ID)) throw invitationNotFound()
    await sql.begin(async (tx) => {
      const time = now()
      const revoked = await takeAway(tx, id, time)
      if (!revoked) throw invitationNotFound()
      await appendInvitationRevoked(tx, revoked, time)
    })
    return { success: true }
  }

const invitationNotFound = () => new Refusal('INVITATION_NOT_FOUND', 'There is no such invitation')
