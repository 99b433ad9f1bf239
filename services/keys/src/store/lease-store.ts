import type { ISql } from '@instatunnel/kit/postgres'
import { type Book, broughtUpTo, excessIn, type Lease, withRemaining } from '../domain/lease-book.ts'
import {
  deleteLeases,
  type LeaseRow,
  leaseOf,
  type MeterRow,
  meterOf,
  meterRowOf,
  saveLeases,
  saveMeters,
} from './lease-rows.ts'

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
