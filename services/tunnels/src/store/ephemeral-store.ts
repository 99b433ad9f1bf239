import type { ISql } from '@instatunnel/kit/postgres'
import type { Tunnel } from '../domain/tunnel.ts'
import { areOf, type WhoseTunnels } from './whose-tunnels.ts'

/** What decides whether an ephemeral tunnel goes, and what is told when it does. */
export type Ephemeral = Pick<Tunnel, 'id' | 'userId' | 'subdomain' | 'createdAt' | 'lastConnected'>

/** A user's ephemeral tunnels; whoever else wants to change one waits until the transaction ends. */
export const lockEphemeral = (tx: ISql, whose: WhoseTunnels) => tx<Ephemeral[]>`
  select id, user_id, subdomain, created_at, last_connected
  from tunnels
  where ephemeral and ${areOf(tx, whose)}
  order by id
  for update`

/** The ephemeral tunnels that no agent connected since a time. */
export const listUnused = (sql: ISql, since: Date) => sql<Ephemeral[]>`
  select id, user_id, subdomain, created_at, last_connected
  from tunnels
  where ephemeral and created_at <= ${since} and (last_connected is null or last_connected <= ${since})`

/** As listUnused, of these ids, locked; those that another has locked are left out. */
export const lockUnused = (tx: ISql, ids: readonly string[], since: Date) => tx<Ephemeral[]>`
  select id, user_id, subdomain, created_at, last_connected
  from tunnels
  where id = any(${ids as string[]}::text[]) and ephemeral
    and created_at <= ${since} and (last_connected is null or last_connected <= ${since})
  order by id
  for update skip locked`
