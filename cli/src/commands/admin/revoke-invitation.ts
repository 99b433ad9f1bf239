import type { DeleteInvitationResponse } from '@instatunnel/proto/auth/v1/admin_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { fields, flag } from '../../shape.ts'

/** `instatunnel admin revoke-invitation` */
export const adminRevokeInvitation = (deps: Deps): Command =>
  new Command('revoke-invitation')
    .description('revoke an invitation')
    .argument('<id>', 'its id, as `instatunnel admin invitations` shows it')
    .action(async (id: string) => {
      const path = `/v1/admin/invitations/${encodeURIComponent(id)}`
      const api = await signedIn(deps)
      const shape = fields({ success: flag })
      const answer = await api.call<Json<DeleteInvitationResponse>>('DELETE', path, { shape })
      deps.output.result(answer, ['✅ Invitation revoked'])
    })
