import { Command } from 'commander'
import { KEY_SHAPE, type Key, keyPath } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { keyLines } from '../../show/key-lines.ts'

/** `instatunnel keys show` */
export const showKey = (deps: Deps): Command =>
  new Command('show')
    .description('show all about an API key but its secret')
    .argument('<id>', 'its id, as `instatunnel keys list` shows it')
    .action(async (id: string) => {
      const key = await (await signedIn(deps)).call<Key>('GET', keyPath(id), { shape: KEY_SHAPE })
      deps.output.result(key, keyLines(key))
    })
