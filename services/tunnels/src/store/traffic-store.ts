import type { ISql } from '@instatunnel/kit/postgres'
import type { TrafficPeriod } from '../domain/traffic.ts'
import type { AddedTraffic } from '../domain/traffic-per-tunnel.ts'

// What one statement deletes at most: well within the time that a statement has.
const PURGED_AT_ONCE = 10_000

/**
 * The tunnels of these ids that exist. They stay until the transaction ends: who wants to delete one waits. Locked in
 * the order of their ids, as by everyone who locks several.
 */
export async function holdTunnels(tx: ISql, ids: readonly string[]): Promise<Set<string>> {
  const rows = await tx<{ id: string }[]>`
    select id from tunnels where id = any(${ids as string[]}::text[]) order by id for key share`
  return new Set(rows.map(({ id }) => id))
}

/** Adds to periods of tunnels that are held; no period may come twice. */
export async function addTraffic(tx: ISql, periods: readonly AddedTraffic[]): Promise<void> {
  await tx`
    insert into traffic (tunnel_id, unit, start, requests, bytes_in, bytes_out, status_classes, latencies)
    select "tunnelId", unit, start, requests, "bytesIn", "bytesOut", "statusClasses", latencies
    from jsonb_to_recordset(${tx.json(periods as never)}) as period (
      "tunnelId" text, unit text, start timestamptz, requests float8, "bytesIn" float8, "bytesOut" float8,
      "statusClasses" float8[], latencies float8[])
    on conflict (tunnel_id, unit, start) do update set
      requests = traffic.requests + excluded.requests,
      bytes_in = traffic.bytes_in + excluded.bytes_in,
      bytes_out = traffic.bytes_out + excluded.bytes_out,
      status_classes = ${sumOf(tx, 'status_classes')},
      latencies = ${sumOf(tx, 'latencies')}`
}

/** Two arrays added element by element; the rest of the longer one stays as it is. */
const sumOf = (sql: ISql, column: string) => sql`array(
  select coalesce(a, 0) + coalesce(b, 0)
  from unnest(traffic.${sql(column)}, excluded.${sql(column)}) with ordinality as pair (a, b, i)
  order by i)`

/** What passed through a tunnel: in all, and by the minutes and days that began then or later, oldest first. */
export const listTraffic = (sql: ISql, tunnelId: string, since: { minutes: Date; days: Date }) => sql<
  TrafficPeriod[]
>`
  select unit, start, requests, bytes_in, bytes_out, status_classes, latencies
  from traffic
  where tunnel_id = ${tunnelId}
    and (unit = 'all' or unit = 'minute' and start >= ${since.minutes} or unit = 'day' and start >= ${since.days})
  order by start`

/**
 * Deletes minutes or days that began before a time; true where there may be more of them. It waits for nobody: what a
 * batch is adding to is left for the next time.
 */
export async function purgeTraffic(sql: ISql, unit: 'minute' | 'day', before: Date): Promise<boolean> {
  const { count } = await sql`
    delete from traffic
    where ctid = any(array(
      select ctid from traffic where unit = ${unit} and start < ${before}
      limit ${PURGED_AT_ONCE} for update skip locked))`
  return count === PURGED_AT_ONCE
}
