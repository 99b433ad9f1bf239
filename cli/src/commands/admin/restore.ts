import type { User } from '@instatunnel/proto/auth/v1/user'
import { Command } from 'commander'
import { USER_SHAPE, userIdOf, userPath } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'

/** `instatunnel admin restore` */
export const adminRestore = (deps: Deps): Command =>
  new Command('restore')
    .description('lift the suspension of an account: its keys and tokens work again')
    .argument('<user>', 'its id or e-mail')
    .addHelpText('after', '\nSessions that were ended stay so: its owner logs in again.')
    .action(async (user: string) => {
      const api = await signedIn(deps)
      const id = await userIdOf(api, user)
      const body = { status: 'active' }
      const answer = await api.call<Json<User>>('PATCH', userPath(id), { body, shape: USER_SHAPE })
      deps.output.result(answer, [`✅ Restored ${answer.email}`])
    })
