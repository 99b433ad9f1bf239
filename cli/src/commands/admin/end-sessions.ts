import type { EndUserSessionsResponse } from '@instatunnel/proto/auth/v1/admin_service'
import { Command } from 'commander'
import { askFirst, YES } from '../../ask-first.ts'
import { userIdOf, userPath } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { fields, number } from '../../shape.ts'

/** `instatunnel admin end-sessions` */
export const adminEndSessions = (deps: Deps): Command =>
  new Command('end-sessions')
    .description('end all sessions of an account, and the API keys that belong to them')
    .argument('<user>', 'its id or e-mail')
    .option(...YES)
    .action(async (user: string, { yes }: { yes?: true }) => {
      const api = await signedIn(deps)
      const id = await userIdOf(api, user)
      await askFirst(deps, yes, `End all sessions of ${user}?`)
      const answer = await api.call<Json<EndUserSessionsResponse>>('DELETE', userPath(id, 'sessions'), {
        shape: fields({ sessions_ended: number }),
      })
      const { sessions_ended: count } = answer
      deps.output.result(answer, [`✅ ${count === 1 ? '1 session' : `${count} sessions`} ended`])
    })
