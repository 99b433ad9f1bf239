import type { Invitation } from '@instatunnel/proto/auth/v1/admin_service'
import { Command } from 'commander'
import { listInvitations } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { relative } from '../../show/relative.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel admin invitations` */
export const adminInvitations = (deps: Deps): Command =>
  new Command('invitations')
    .description('list invitations that are neither accepted nor expired, newest first')
    .action(async () => {
      const invitations = await listInvitations(await signedIn(deps))
      const rows = invitations.map(rowOf)
      deps.output.result({ invitations }, rows.length > 0 ? tableOf(rows, deps.output) : ['No invitations'])
    })

const rowOf = ({ id, email, plan, role, expires_at }: Json<Invitation>) => ({
  ID: id,
  ROLE: role,
  PLAN: plan,
  'E-MAIL': email,
  EXPIRES: expires_at === undefined ? '–' : relative(expires_at),
})
