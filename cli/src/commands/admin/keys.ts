import { Command, Option } from 'commander'
import { listUserKeys, userIdOf } from '../../calls/admin.ts'
import { KEY_STATES } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { keyRow } from '../../show/key-row.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel admin keys` */
export const adminKeys = (deps: Deps): Command =>
  new Command('keys')
    .description("list an account's API keys, newest first")
    .argument('<user>', 'its id or e-mail')
    .addOption(
      new Option('--state <state>', 'those in this state only; all but revoked where left out').choices(
        KEY_STATES,
      ),
    )
    .action(async (user: string, { state }: { state?: string }) => {
      const api = await signedIn(deps)
      const keys = await listUserKeys(api, await userIdOf(api, user), state)
      deps.output.result(
        { keys },
        keys.length > 0 ? tableOf(keys.map(keyRow), deps.output) : ['No such keys'],
      )
    })
