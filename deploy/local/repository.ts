import { realpathSync } from 'node:fs'
import { join } from 'node:path'

/** The checkout's root, by its real path: Node strips types only outside node_modules. */
export const repository = realpathSync(join(import.meta.dirname, '../..'))
