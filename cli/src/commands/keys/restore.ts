import { Command } from 'commander'
import { KEY_SHAPE, type Key, keyPath } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { keyLines } from '../../show/key-lines.ts'

/** `instatunnel keys restore` */
export const restoreKey = (deps: Deps): Command =>
  new Command('restore')
    .description('undo the revocation of an API key, within 24 hours')
    .argument('<id>', 'its id, as `instatunnel keys list --state revoked` shows it')
    .action(async (id: string) => {
      const key = await (await signedIn(deps)).call<Key>('POST', `${keyPath(id)}/restore`, {
        body: {},
        shape: KEY_SHAPE,
      })
      deps.output.result(key, ['✅ API key restored', ...keyLines(key)])
    })
