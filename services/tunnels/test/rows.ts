import { newId } from '@instatunnel/kit/id'
import type { Sql } from '@instatunnel/kit/postgres'

/** A tunnel that is there as far as its traffic goes. */
export interface Row {
  readonly tunnelId: string
  readonly userId: string
}

/** Writes so many tunnels, each of a user of its own, in the order of their ids. */
export async function insertRows(sql: Sql, count: number): Promise<Row[]> {
  const now = new Date()
  const rows = Array.from({ length: count }, () => ({
    tunnelId: newId('tun_', now),
    userId: newId('user_', now),
  }))
  await sql`
    insert into tunnels (
      id, user_id, name, subdomain, local_port, token_hash, token_pepper_id, token_sealed, token_secret_id,
      created_at, updated_at)
    select id, user_id, 'x', substr(id, 5), 1, id::bytea, 'p1', '', '', now(), now()
    from unnest(
      ${rows.map(({ tunnelId }) => tunnelId)}::text[], ${rows.map(({ userId }) => userId)}::text[]
    ) as row (id, user_id)`
  return rows.sort((a, b) => (a.tunnelId < b.tunnelId ? -1 : 1))
}
