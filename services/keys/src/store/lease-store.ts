import type { ISql } from '@instatunnel/kit/postgres'
import { type Book, broughtUpTo, forfeitedWhole, type Lease, type LeaseAnswer } from '../domain/lease-book.ts'
import type { Meter } from '../domain/lease-meter.ts'

// A request that is late may still arrive: so long its holder's turn is remembered, though it holds nothing.
const REMEMBERED_MS = 60_000

/** A key's book, and whose key it is. */
export interface KeptBook {
  readonly userId: string
  readonly isRevoked: boolean
  readonly book: Book
}

/**
 * The book of a key that counts uses, revoked or not. Whoever else wants to lease some, or to change the key, waits
 * until the transaction ends.
 */
export async function lockBook(tx: ISql, keyId: string): Promise<KeptBook | undefined> {
  // Sent together and done in order: what the second and the third read is as it was once the first had its lock.
  const [, [row], leases] = await Promise.all([
    tx`select from key_meters where key_id = ${keyId} for no key update`,
    tx<MeterRow[]>`
      select user_id, revoked_at is not null as is_revoked, rate_limit_enabled, remaining, refill_amount, refill_interval, refill_from, last_refill_at,
        time_window, max_uses, used_at, used_count
      from key_meters join api_keys on id = key_id
      where key_id = ${keyId}`,
    tx<LeaseRow[]>`select holder, turn, answer, held, until from key_leases where key_id = ${keyId}`,
  ])
  if (!row) return undefined
  const meter = meterOf(row)
  if (meter.remaining === null && !meter.window) return undefined
  const { userId, isRevoked } = row
  return { userId, isRevoked, book: { meter, leases: leases.map(leaseOf) } }
}

/** Writes what differs between two states of a locked book, and forgets holders that are long silent. */
export async function saveBook(tx: ISql, keyId: string, before: Book, after: Book, now: Date): Promise<void> {
  const known = new Set(before.leases)
  const isForgotten = ({ held, until }: Lease) => held === 0 && until < now.getTime() - REMEMBERED_MS
  const changed = after.leases.filter((lease) => !known.has(lease))
  const forgotten = after.leases.filter((lease) => known.has(lease) && isForgotten(lease))
  await Promise.all([
    ...(after.meter === before.meter ? [] : [saveMeter(tx, keyId, after.meter)]),
    ...changed.map((lease) => saveLease(tx, keyId, lease)),
    ...forgotten.map(
      ({ holder }) => tx`delete from key_leases where key_id = ${keyId} and holder = ${holder}`,
    ),
  ])
}

/**
 * Takes all leases of a key away, and does the refills that are due, before its count is changed. Uses that were held
 * are gone from what remains, and count in its own window as late as they could have been used; who held them is refused
 * when it settles them.
 */
export async function forfeitLeases(tx: ISql, keyId: string, now: Date): Promise<void> {
  const kept = await lockBook(tx, keyId)
  if (kept) await saveBook(tx, keyId, kept.book, forfeitedWhole(broughtUpTo(now.getTime(), kept.book)), now)
  else await tx`update key_leases set held = 0 where key_id = ${keyId}`
}

interface MeterRow {
  userId: string
  isRevoked: boolean
  rateLimitEnabled: boolean
  remaining: number | null
  refillAmount: number | null
  refillInterval: number | null
  refillFrom: Date | null
  lastRefillAt: Date | null
  timeWindow: number | null
  maxUses: number | null
  usedAt: number[]
  usedCount: number[]
}

type LeaseRow = Omit<Lease, 'until' | 'answer'> & { until: Date; answer: LeaseAnswer | null }

function meterOf({ refillAmount, refillInterval, refillFrom, timeWindow, maxUses, ...row }: MeterRow): Meter {
  const hasRefill = refillAmount !== null && refillInterval !== null && refillFrom !== null
  const hasWindow = row.rateLimitEnabled && timeWindow !== null && maxUses !== null
  return {
    remaining: row.remaining,
    refill: hasRefill
      ? { amount: refillAmount, intervalMs: refillInterval, from: refillFrom.getTime() }
      : null,
    lastRefillAt: row.lastRefillAt?.getTime() ?? null,
    window: hasWindow ? { lengthMs: timeWindow, max: maxUses } : null,
    used: row.usedAt.map((at, i) => ({ at, count: row.usedCount[i] ?? 0 })),
  }
}

const leaseOf = (row: LeaseRow): Lease => ({ ...row, until: row.until.getTime() })

async function saveMeter(tx: ISql, keyId: string, { remaining, lastRefillAt, used }: Meter): Promise<void> {
  await tx`
    update key_meters
    set remaining = ${remaining}, last_refill_at = ${lastRefillAt === null ? null : new Date(lastRefillAt)},
      used_at = ${used.map(({ at }) => at)}::float8[], used_count = ${used.map(({ count }) => count)}::float8[]
    where key_id = ${keyId}`
}

async function saveLease(
  tx: ISql,
  keyId: string,
  { holder, turn, answer, held, until }: Lease,
): Promise<void> {
  await tx`
    insert into key_leases (key_id, holder, turn, answer, held, until)
    values (
      ${keyId}, ${holder}, ${turn}, ${answer === null ? null : tx.json(answer as never)}, ${held}, ${new Date(until)})
    on conflict (key_id, holder) do update
    set turn = excluded.turn, answer = excluded.answer, held = excluded.held, until = excluded.until`
}
