import type { ISql } from '@instatunnel/kit/postgres'
import {
  type Book,
  broughtUpTo,
  excessIn,
  type Lease,
  type LeaseAnswer,
  withRemaining,
} from '../domain/lease-book.ts'
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
 * The books of those of these keys that count uses, revoked or not. Whoever else wants to lease some, or to change such
 * a key, waits until the transaction ends; many are locked in one order, so that none of two wait for each other.
 */
export async function lockBooks(tx: ISql, keyIds: readonly string[]): Promise<ReadonlyMap<string, KeptBook>> {
  const ids = [...keyIds]
  // Sent together and done in order: what the second and the third read is as it was once the first had its locks.
  const [, rows, leases] = await Promise.all([
    tx`select from key_meters where key_id = any(${ids}) order by key_id for no key update`,
    tx<MeterRow[]>`
      select key_id, user_id, revoked_at is not null as is_revoked, rate_limit_enabled, remaining, next_remaining, refill_amount,
        refill_interval, refill_from, last_refill_at, time_window, max_uses, used_at, used_count
      from key_meters join api_keys on id = key_id
      where key_id = any(${ids})`,
    tx<
      LeaseRow[]
    >`select key_id, holder, turn, answer, held, until from key_leases where key_id = any(${ids})`,
  ])
  const leasesOf = Map.groupBy(leases, ({ keyId }) => keyId)
  const books = new Map<string, KeptBook>()
  for (const row of rows) {
    const meter = meterOf(row)
    if (meter.remaining === null && !meter.window) continue
    const { keyId, userId, isRevoked } = row
    const book = { meter, leases: (leasesOf.get(keyId) ?? []).map(leaseOf) }
    books.set(keyId, { userId, isRevoked, book })
  }
  return books
}

/** As lockBooks, of one. */
export const lockBook = async (tx: ISql, keyId: string): Promise<KeptBook | undefined> =>
  (await lockBooks(tx, [keyId])).get(keyId)

/** Two states of a key's book. */
export interface BookChange {
  readonly keyId: string
  readonly before: Book
  readonly after: Book
}

/** Writes what differs between two states of locked books, and forgets holders that are long silent. */
export async function saveBooks(tx: ISql, changes: readonly BookChange[], now: Date): Promise<void> {
  const isForgotten = ({ held, until }: Lease) => held === 0 && until < now.getTime() - REMEMBERED_MS
  const meters = changes.flatMap(({ keyId, before, after: { meter } }) =>
    meter === before.meter ? [] : [meterRowOf(keyId, meter)],
  )
  const changed: LeaseRow[] = []
  const forgotten: LeaseRow[] = []
  for (const { keyId, before, after } of changes) {
    const known = new Set(before.leases)
    for (const lease of after.leases) {
      const row = { ...lease, keyId, until: new Date(lease.until) }
      if (!known.has(lease)) changed.push(row)
      else if (isForgotten(lease)) forgotten.push(row)
    }
  }
  await Promise.all([
    meters.length > 0 && saveMeters(tx, meters),
    changed.length > 0 && saveLeases(tx, changed),
    forgotten.length > 0 && deleteLeases(tx, forgotten),
  ])
}

/** Does the refills that are due, before it is changed how uses are counted. */
export async function settleRefills(tx: ISql, keyId: string, now: Date): Promise<void> {
  await changeBook(tx, keyId, now, (book) => book)
}

/** Sets what remains of a key, what is leased of it included: whatever becomes of that, no more are admitted. */
export async function setRemaining(tx: ISql, keyId: string, total: number | null, now: Date): Promise<void> {
  await changeBook(tx, keyId, now, (book) => withRemaining(book, total))
}

/** The leases by which more could be used than there is; their book is locked and as of now. */
export async function lockExcess(tx: ISql, keyId: string, now: Date): Promise<readonly Lease[]> {
  const book = await changeBook(tx, keyId, now, (book) => book)
  return book ? excessIn(book) : []
}

async function changeBook(tx: ISql, keyId: string, now: Date, change: (book: Book) => Book) {
  const before = (await lockBook(tx, keyId))?.book
  if (!before) return undefined
  const after = change(broughtUpTo(now.getTime(), before))
  await saveBooks(tx, [{ keyId, before, after }], now)
  return after
}

/** Who holds uses of a key. */
export async function findHolders(sql: ISql, keyId: string, now: Date): Promise<string[]> {
  const rows = await sql<{ holder: string }[]>`
    select holder from key_leases where key_id = ${keyId} and held > 0 and until > ${now}`
  return rows.map(({ holder }) => holder)
}

interface MeterRow {
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

type LeaseRow = Omit<Lease, 'until' | 'answer'> & { keyId: string; until: Date; answer: LeaseAnswer | null }

function meterOf({ refillAmount, refillInterval, refillFrom, timeWindow, maxUses, ...row }: MeterRow): Meter {
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

const leaseOf = ({ keyId: _, until, ...lease }: LeaseRow): Lease => ({ ...lease, until: until.getTime() })

const meterRowOf = (key_id: string, { remaining, nextRemaining, lastRefillAt, used }: Meter) => ({
  ...{ key_id, remaining, next_remaining: nextRemaining },
  last_refill_at: lastRefillAt === null ? null : new Date(lastRefillAt),
  used_at: used.map(({ at }) => at),
  used_count: used.map(({ count }) => count),
})

// One statement for however many: the rows travel as JSON, for lists of lists are no arrays of Postgres.
async function saveMeters(tx: ISql, meters: readonly ReturnType<typeof meterRowOf>[]): Promise<void> {
  await tx`
    update key_meters
    set remaining = meter.remaining, next_remaining = meter.next_remaining, last_refill_at = meter.last_refill_at,
      used_at = meter.used_at, used_count = meter.used_count
    from jsonb_to_recordset(${tx.json(meters as never)}) as meter (
      key_id text, remaining float8, next_remaining float8, last_refill_at timestamptz, used_at float8[], used_count float8[])
    where key_meters.key_id = meter.key_id`
}

async function saveLeases(tx: ISql, leases: readonly LeaseRow[]): Promise<void> {
  const rows = leases.map(({ keyId, ...lease }) => ({ key_id: keyId, ...lease }))
  await tx`
    insert into key_leases (key_id, holder, turn, answer, held, until)
    select key_id, holder, turn, answer, held, until
    from jsonb_to_recordset(${tx.json(rows as never)}) as lease (
      key_id text, holder text, turn float8, answer jsonb, held integer, until timestamptz)
    on conflict (key_id, holder) do update
    set turn = excluded.turn, answer = excluded.answer, held = excluded.held, until = excluded.until`
}

async function deleteLeases(tx: ISql, leases: readonly LeaseRow[]): Promise<void> {
  const [keyIds, holders] = [leases.map(({ keyId }) => keyId), leases.map(({ holder }) => holder)]
  await tx`
    delete from key_leases
    using unnest(${keyIds}::text[], ${holders}::text[]) as gone (key_id, holder)
    where key_leases.key_id = gone.key_id and key_leases.holder = gone.holder`
}
