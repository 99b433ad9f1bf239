import type { Clock } from '@instatunnel/kit/clock'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { type Repeated, repeat } from '@instatunnel/kit/repeat'
import { visibleSince } from './domain/revocation.ts'
import { purgeRevoked } from './store/revocation-store.ts'
import { dropEndedSecrets } from './store/rotation-store.ts'
import { isSweeping } from './store/sweep-store.ts'

interface SweepDeps {
  readonly sql: Sql
  readonly now: () => Date
  readonly clock: Pick<Clock, 'isExact'>
}

/**
 * Purges, again and again, keys that were revoked too long ago to be seen, and old secrets whose grace has ended. Of
 * replicas that would sweep at once one does.
 */
export const startSweeper = (options: SweepDeps & { log: Logger; everyMs: number }): Repeated =>
  repeat((signal) => sweep(options, signal), options)

async function sweep({ sql, now, clock }: SweepDeps, signal: AbortSignal): Promise<void> {
  // Nothing is deleted by a clock that is wrong.
  if (!(await clock.isExact())) return
  let isMore = true
  while (isMore && !signal.aborted) {
    isMore = await sql.begin(async (tx) => {
      if (!(await isSweeping(tx))) return false
      const [arePurged, areDropped] = [
        await purgeRevoked(tx, visibleSince(now())),
        await dropEndedSecrets(tx, now()),
      ]
      return arePurged || areDropped
    })
  }
}
