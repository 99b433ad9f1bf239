import type { Session } from '@instatunnel/proto/auth/v1/auth_service'
import { Command } from 'commander'
import { listUserSessions, userIdOf } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { relative } from '../../show/relative.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel admin sessions` */
export const adminSessions = (deps: Deps): Command =>
  new Command('sessions')
    .description("list an account's live sessions, newest first")
    .argument('<user>', 'its id or e-mail')
    .action(async (user: string) => {
      const api = await signedIn(deps)
      const sessions = await listUserSessions(api, await userIdOf(api, user))
      const rows = sessions.map(rowOf)
      deps.output.result({ sessions }, rows.length > 0 ? tableOf(rows, deps.output) : ['No sessions'])
    })

const timeOf = (time: string | undefined) => (time === undefined ? '–' : relative(time))

const rowOf = ({ id, address, user_agent, created_at, expires_at }: Json<Session>) => ({
  ID: id,
  'LOGGED IN': timeOf(created_at),
  ENDS: timeOf(expires_at),
  ADDRESS: address,
  WITH: user_agent,
})
