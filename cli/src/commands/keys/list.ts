import { expandScope } from '@instatunnel/kit/scope'
import { Command, Option } from 'commander'
import { KEY_STATES, type Key, listAllKeys } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { relative } from '../../show/relative.ts'
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
      const rows = keys.map(rowOf)
      const none = state === undefined ? 'No keys yet' : `No ${state} keys`
      deps.output.result({ keys }, rows.length > 0 ? tableOf(rows, deps.output) : [none])
    })

const rowOf = ({ id, name, start, state, expires_at, last_used, permissions, remaining }: Key) => ({
  ID: id,
  STATE: state,
  START: start,
  NAME: name,
  SCOPES: String(new Set(permissions.flatMap(expandScope)).size),
  'LAST USED': last_used === undefined ? 'Never' : relative(last_used),
  EXPIRES: expires_at === undefined ? 'Never' : relative(expires_at),
  REMAINING: remaining === undefined ? '–' : String(remaining),
})
