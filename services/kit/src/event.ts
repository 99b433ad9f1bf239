import { fileURLToPath } from 'node:url'
import type { ISql } from './postgres.ts'

/** Something that happened, to be told once it is committed (CloudEvents 1.0). */
export interface Event {
  /** `evt_` and a time-ordered id. */
  readonly id: string
  /** What follows `instatunnel.events.`, e.g. "key.created". */
  readonly type: string
  /** The id of the resource that it happened to: its events are told in order. */
  readonly subject: string
  readonly time: Date
  /** The message of instatunnel.events.v1, as JSON. */
  readonly data: object
}

/**
 * Appends to the outbox, in the transaction of the change itself. Call it after the change: the lock on the
 * resource's row is what keeps its events in order.
 */
export async function appendEvent(tx: ISql, event: Event): Promise<void> {
  const { id, type, subject, time, data } = event
  await tx`
    insert into outbox (id, type, subject, time, data)
    values (${id}, ${type}, ${subject}, ${time}, ${tx.json(data as never)})`
  await tx`select pg_notify(${CHANNEL} || current_schema(), '')`
}

/** The folder of the outbox's and inbox's own migrations. */
export const OUTBOX_MIGRATIONS = fileURLToPath(new URL('./migrations/', import.meta.url))

/** What Postgres notifies on when an event is appended; the schema's name follows. */
export const CHANNEL = 'outbox_'

const FORGOTTEN_AT_ONCE = 100

/**
 * True the first time it is asked about an event; ask in the transaction that acts on it. Events are forgotten when
 * no stream can hold them any more.
 */
export async function isFirstDelivery(tx: ISql, eventId: string): Promise<boolean> {
  // A few at a time: where many have grown old together, forgetting all of them would outlast the statement's time.
  await tx`
    delete from inbox where event_id in (
      select event_id from inbox where seen_at < now() - interval '8 days'
      order by seen_at limit ${FORGOTTEN_AT_ONCE} for update skip locked)`
  const rows = await tx`insert into inbox (event_id) values (${eventId}) on conflict do nothing returning 1`
  return rows.length > 0
}
