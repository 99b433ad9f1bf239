import { setTimeout } from 'node:timers/promises'
import type { Lease } from '../domain/lease-book.ts'
import { LEASE_MS } from '../domain/lease-grant.ts'
import { lockExcess } from '../store/lease-store.ts'
import type { Deps } from './deps.ts'

// One that was not reached may settle all the same, before its lease ends.
const LOOK_EVERY_MS = 200

/**
 * Resolves when no more of a key's uses are leased than it admits since it was changed: those who hold some are asked to
 * settle, and what one holds that does not is over when its lease is, for none of them is made longer meanwhile.
 */
export async function untilLeasesFit(
  { sql, now, recall }: Pick<Deps, 'sql' | 'now' | 'recall'>,
  keyId: string,
  signal: AbortSignal,
): Promise<void> {
  const findExcess = () => sql.begin((tx) => lockExcess(tx, keyId, now()))
  const since = performance.now()
  let excess = await findExcess()
  // By a clock that stands still no lease ever ends.
  while (excess.length > 0 && performance.now() - since < LEASE_MS) {
    await recall(keyId, excess.map(holderOf))
    excess = await findExcess()
    if (excess.length === 0) return
    const waitMs = Math.min(Math.max(soonestEnd(excess) - now().getTime(), 1), LOOK_EVERY_MS)
    await setTimeout(waitMs, undefined, { signal })
    excess = await findExcess()
  }
}

const holderOf = ({ holder }: Lease) => holder

const soonestEnd = (leases: readonly Lease[]) => Math.min(...leases.map(({ until }) => until))
