import { Command, Option } from 'commander'
import { KEY_STATES, listAllKeys } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { keyRow } from '../../show/key-row.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel keys list` */
export const listKeys = (deps: Deps): Command =>
  new Command('list')
    .description('list your API keys, newest first')
    .addOption(
      new Option('--state <state>', 'those in this state only; all but revoked where left out').choices(
        KEY_STATES,
      ),
    )
    .addHelpText('after', '\nRevoked keys are listed for 30 days, and can be restored for 24 hours.')
    .action(async ({ state }: { state?: string }) => {
      const keys = await listAllKeys(await signedIn(deps), state)
      const rows = keys.map(keyRow)
      const none = state === undefined ? 'No keys yet' : `No ${state} keys`
      deps.output.result({ keys }, rows.length > 0 ? tableOf(rows, deps.output) : [none])
    })
