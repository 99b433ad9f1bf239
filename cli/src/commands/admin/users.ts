import type { User } from '@instatunnel/proto/auth/v1/user'
import { Command } from 'commander'
import { listUsers } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { relative } from '../../show/relative.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel admin users` */
export const adminUsers = (deps: Deps): Command =>
  new Command('users')
    .description('list accounts, newest first')
    .option('-e, --email <e-mail>', 'the one with this e-mail only')
    .action(async ({ email }: { email?: string }) => {
      const users = await listUsers(await signedIn(deps), email)
      const rows = users.map(rowOf)
      deps.output.result({ users }, rows.length > 0 ? tableOf(rows, deps.output) : ['No such account'])
    })

const rowOf = ({ id, email, plan, role, status, created_at }: Json<User>) => ({
  ID: id,
  STATUS: status,
  ROLE: role,
  PLAN: plan,
  'E-MAIL': email,
  CREATED: created_at === undefined ? '–' : relative(created_at),
})
