import type { Clock } from '@instatunnel/kit/clock'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { type Repeated, repeat } from '@instatunnel/kit/repeat'
import { idleUntil, type Presence } from './domain/presence.ts'
import { DAYS_KEPT_MS, MINUTES_KEPT_MS } from './domain/traffic.ts'
import { listUnused, lockUnused } from './store/ephemeral-store.ts'
import { tellDeleted } from './store/outbox.ts'
import { purgeTraffic } from './store/traffic-store.ts'
import { deleteTunnel } from './store/tunnel-store.ts'

// How long an ephemeral tunnel waits for an agent.
const WAIT_MS = 5 * 60 * 1000
const DELETED_AT_ONCE = 100

interface SweepDeps {
  readonly sql: Sql
  readonly presence: Presence
  readonly now: () => Date
  readonly clock: Pick<Clock, 'isExact'>
}

/**
 * Deletes, again and again, ephemeral tunnels that have waited too long for an agent, and traffic that is too old to
 * be shown. Replicas that sweep at once leave one another what they have begun.
 */
export const startSweeper = (options: SweepDeps & { log: Logger; everyMs: number }): Repeated =>
  repeat((signal) => sweep(options, signal), options)

async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  // Nothing is deleted by a clock that is wrong.
  if (!(await deps.clock.isExact())) return
  await deleteForgotten(deps)
  const keptMs = { minute: MINUTES_KEPT_MS, day: DAYS_KEPT_MS }
  for (const unit of ['minute', 'day'] as const) {
    const before = new Date(deps.now().getTime() - keptMs[unit])
    let isMore = true
    while (isMore && !signal.aborted) isMore = await purgeTraffic(deps.sql, unit, before)
  }
}

async function deleteForgotten({ sql, presence, now }: SweepDeps): Promise<void> {
  const until = new Date(now().getTime() - WAIT_MS)
  const forgotten = idleUntil(await listUnused(sql, until), until, presence)
  for (let i = 0; i < forgotten.length; i += DELETED_AT_ONCE) {
    const ids = forgotten.slice(i, i + DELETED_AT_ONCE).map(({ id }) => id)
    await sql.begin(async (tx) => {
      // Looked at once more: an agent may have come in the meantime.
      for (const tunnel of idleUntil(await lockUnused(tx, ids, until), until, presence)) {
        await deleteTunnel(tx, tunnel.id)
        await tellDeleted(tx, tunnel, now())
      }
    })
  }
}
