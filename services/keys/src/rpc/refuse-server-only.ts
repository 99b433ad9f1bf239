import { scopeMissing } from '@instatunnel/kit/guard'
import type { Asker } from '../domain/key.ts'

/** Refuses to set what only servers should decide about a key. */
export function refuseServerOnly(caller: Asker): void {
  if (!caller.scopes.has('admin:write')) throw scopeMissing('admin:write')
}
