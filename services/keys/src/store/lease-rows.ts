import type { ISql } from '@instatunnel/kit/postgres'
import type { Lease, LeaseAnswer } from '../domain/lease-book.ts'
import type { Meter } from '../domain/lease-meter.ts'

// One statement for however many rows: they travel as JSON, for lists of lists are no arrays of Postgres.

/** What counts a key's uses, as a query tells it. */
export interface MeterRow {
  keyId: string
  userId: string
  isRevoked: boolean
  rateLimitEnabled: boolean
  remaining: number | null
  nextRemaining: number | null
  refillAmount: number | null
  refillInterval: number | null
  refillFrom: Date | null
  lastRefillAt: Date | null
  timeWindow: number | null
  maxUses: number | null
  usedAt: number[]
  usedCount: number[]
}

/** A lease of a key. */
export type LeaseRow = Omit<Lease, 'until' | 'answer'> & {
  keyId: string
  until: Date
  answer: LeaseAnswer | null
}

/** The meter of a row. */
export function meterOf({
  refillAmount,
  refillInterval,
  refillFrom,
  timeWindow,
  maxUses,
  ...row
}: MeterRow): Meter {
  const hasRefill = refillAmount !== null && refillInterval !== null && refillFrom !== null
  const hasWindow = row.rateLimitEnabled && timeWindow !== null && maxUses !== null
  return {
    remaining: row.remaining,
    nextRemaining: row.nextRemaining,
    refill: hasRefill
      ? { amount: refillAmount, intervalMs: refillInterval, from: refillFrom.getTime() }
      : null,
    lastRefillAt: row.lastRefillAt?.getTime() ?? null,
    window: hasWindow ? { lengthMs: timeWindow, max: maxUses } : null,
    used: row.usedAt.map((at, i) => ({ at, count: row.usedCount[i] ?? 0 })),
  }
}

/** The lease of a row. */
export const leaseOf = ({ keyId: _, until, ...lease }: LeaseRow): Lease => ({
  ...lease,
  until: until.getTime(),
})

/** What of a meter leasing changes, as saveMeters writes it. */
export const meterRowOf = (key_id: string, { remaining, nextRemaining, lastRefillAt, used }: Meter) => ({
  ...{ key_id, remaining, next_remaining: nextRemaining },
  last_refill_at: lastRefillAt === null ? null : new Date(lastRefillAt),
  used_at: used.map(({ at }) => at),
  used_count: used.map(({ count }) => count),
})

/** Writes what leasing changed of meters. */
export async function saveMeters(tx: ISql, meters: readonly ReturnType<typeof meterRowOf>[]): Promise<void> {
  await tx`
    update key_meters
    set remaining = meter.remaining, next_remaining = meter.next_remaining, last_refill_at = meter.last_refill_at,
      used_at = meter.used_at, used_count = meter.used_count
    from jsonb_to_recordset(${tx.json(meters as never)}) as meter (
      key_id text, remaining float8, next_remaining float8, last_refill_at timestamptz, used_at float8[], used_count float8[])
    where key_meters.key_id = meter.key_id`
}

/** Writes leases, new ones too. */
export async function saveLeases(tx: ISql, leases: readonly LeaseRow[]): Promise<void> {
  const rows = leases.map(({ keyId, ...lease }) => ({ key_id: keyId, ...lease }))
  await tx`
    insert into key_leases (key_id, holder, turn, answer, held, until)
    select key_id, holder, turn, answer, held, until
    from jsonb_to_recordset(${tx.json(rows as never)}) as lease (
      key_id text, holder text, turn float8, answer jsonb, held integer, until timestamptz)
    on conflict (key_id, holder) do update
    set turn = excluded.turn, answer = excluded.answer, held = excluded.held, until = excluded.until`
}

/** Forgets leases. */
export async function deleteLeases(tx: ISql, leases: readonly LeaseRow[]): Promise<void> {
  const [keyIds, holders] = [leases.map(({ keyId }) => keyId), leases.map(({ holder }) => holder)]
  await tx`
    delete from key_leases
    using unnest(${keyIds}::text[], ${holders}::text[]) as gone (key_id, holder)
    where key_leases.key_id = gone.key_id and key_leases.holder = gone.holder`
}
