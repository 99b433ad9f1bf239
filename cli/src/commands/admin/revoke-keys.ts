import type { RevokeUserKeysResponse } from '@instatunnel/proto/keys/v1/admin_key_service'
import { Command } from 'commander'
import { askFirst, YES } from '../../ask-first.ts'
import { userIdOf, userPath } from '../../calls/admin.ts'
import type { Json } from '../../calls/json.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { fields, number } from '../../shape.ts'
import { LEAKED_TOKENS, tokenLines } from '../../show/receipt.ts'

const SHAPE = fields({
  ...{ keys_revoked: number, replicas_acked: number, replicas_total: number },
  ...LEAKED_TOKENS,
})

interface Options {
  readonly reason?: string
  readonly regenerate?: true
  readonly yes?: true
}

/** `instatunnel admin revoke-keys` */
export const adminRevokeKeys = (deps: Deps): Command =>
  new Command('revoke-keys')
    .description('revoke all API keys of an account; tunnels that they connected are cut off')
    .argument('<user>', 'its id or e-mail')
    .option('--reason <reason>', 'why, for the record; "leaked" lets nobody restore them')
    .option('--regenerate', 'with "--reason leaked": give the account\'s tunnels new tokens')
    .option(...YES)
    .addHelpText('after', '\nSessions go on: `instatunnel admin end-sessions` ends those.')
    .action(async (user: string, { reason, regenerate, yes }: Options) => {
      const { output } = deps
      const api = await signedIn(deps)
      const id = await userIdOf(api, user)
      await askFirst(deps, yes, `Revoke all API keys of ${user}?`)
      const answer = await api.call<Json<RevokeUserKeysResponse>>('DELETE', userPath(id, 'keys'), {
        query: { reason, regenerate: regenerate && 'true' },
        shape: SHAPE,
      })
      const { keys_revoked: count, replicas_acked: acked, replicas_total: total } = answer
      const keys = count === 1 ? '1 API key' : `${count} API keys`
      const replicas = total === 1 ? 'replica refuses' : 'replicas refuse'
      output.result(answer, [`✅ ${keys} revoked: ${acked} of ${total} ${replicas} them`])
      for (const line of tokenLines(answer)) output.note(line)
      if (acked < total || total === 0) output.note('Where no answer came from, they are refused within 5 s')
    })
