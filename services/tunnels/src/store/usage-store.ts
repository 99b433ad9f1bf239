import type { ISql } from '@instatunnel/kit/postgres'
import type { UserTraffic } from '../domain/usage.ts'

/** What a user has used. */
export interface Usage {
  readonly tunnelsCount: number
  readonly tunnelsCreated: number
  readonly dataTransferredBytes: number
  readonly requestsServed: number
}

/** Counts one tunnel more for a user, whose other creates wait until the transaction ends. */
export async function countCreated(tx: ISql, userId: string): Promise<void> {
  await tx`
    insert into usage (user_id, tunnels_created) values (${userId}, 1)
    on conflict (user_id) do update set tunnels_created = usage.tunnels_created + 1`
}

/** Adds to users' totals; no user may come twice, and their rows are locked in the order given. */
export async function addUserTraffic(tx: ISql, traffic: readonly UserTraffic[]): Promise<void> {
  await tx`
    insert into usage (user_id, requests_served, data_transferred_bytes)
    select * from unnest(
      ${traffic.map(({ userId }) => userId)}::text[],
      ${traffic.map(({ requests }) => requests)}::float8[],
      ${traffic.map(({ bytes }) => bytes)}::float8[])
    on conflict (user_id) do update set
      requests_served = usage.requests_served + excluded.requests_served,
      data_transferred_bytes = usage.data_transferred_bytes + excluded.data_transferred_bytes`
}

/** What a user has used; zeros where the user never had a tunnel. */
export async function findUsage(sql: ISql, userId: string): Promise<Usage> {
  const [usage] = await sql<[Usage]>`
    select
      (select count(*)::integer from tunnels where user_id = ${userId}) as tunnels_count,
      coalesce(max(tunnels_created), 0) as tunnels_created,
      coalesce(max(data_transferred_bytes), 0) as data_transferred_bytes,
      coalesce(max(requests_served), 0) as requests_served
    from usage
    where user_id = ${userId}`
  return usage
}
