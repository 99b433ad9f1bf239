import { scopeMissing } from '@instatunnel/kit/guard'
import type { Asker } from '../domain/key.ts'
import { unheldScope } from '../domain/permission.ts'

/** Refuses to make or change a key that may do what the caller may not. */
export function refuseUnheld(caller: Asker, permissions: readonly string[]): void {
  const unheld = unheldScope(caller, permissions)
  if (unheld !== undefined) throw scopeMissing(unheld)
}
