import type { User } from '@instatunnel/proto/auth/v1/user'
import { Command } from 'commander'
import { askFirst, YES } from '../../ask-first.ts'
import { USER_SHAPE, userIdOf, userPath } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'

/** `instatunnel admin suspend` */
export const adminSuspend = (deps: Deps): Command =>
  new Command('suspend')
    .description('suspend an account: its sessions, keys and live tunnels end')
    .argument('<user>', 'its id or e-mail')
    .option(...YES)
    .addHelpText(
      'after',
      `
All of it ends within a second. \`instatunnel admin restore\` undoes it, but for the sessions, which stay ended.`,
    )
    .action(async (user: string, { yes }: { yes?: true }) => {
      const api = await signedIn(deps)
      const id = await userIdOf(api, user)
      await askFirst(deps, yes, `Suspend the account ${user}?`)
      const body = { status: 'suspended' }
      const answer = await api.call<Json<User>>('PATCH', userPath(id), { body, shape: USER_SHAPE })
      deps.output.result(answer, [`✅ Suspended ${answer.email}`])
    })
