import { Command } from 'commander'
import { type Key, listAllKeys } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { dateOf } from '../../show/date.ts'
import { folded } from '../../show/permissions.ts'
import { tableOf } from '../../show/table.ts'

/** `instatunnel keys list` */
export const listKeys = (deps: Deps): Command =>
  new Command('list').description('list your API keys, newest first').action(async () => {
    const keys = await listAllKeys(await signedIn(deps))
    const rows = keys.map(rowOf)
    deps.output.result({ keys }, rows.length > 0 ? tableOf(rows, deps.output) : ['No keys yet'])
  })

const rowOf = ({ id, name, key, enabled, expires_at, last_used, permissions }: Key) => ({
  ID: id,
  NAME: name,
  KEY: key,
  STATUS: enabled ? 'enabled' : 'disabled',
  EXPIRES: expires_at === undefined ? 'Never' : dateOf(expires_at),
  'LAST USED': last_used === undefined ? 'Never' : dateOf(last_used),
  PERMISSIONS: folded(permissions).join(', '),
})
