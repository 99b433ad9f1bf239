import type { ISql } from '@instatunnel/kit/postgres'

const KEPT = 20

/** For how long a network is known after the last login from there, as Postgres has it. */
const KNOWN = '90 days'

/** True, in a query about users, where the account was logged in from this network. */
export const isKnownNetwork = (sql: ISql, network: Buffer) => sql`
  exists (
    select 1 from known_networks
    where user_id = users.id and network = ${network} and last_login_at > now() - ${KNOWN}::interval)`

/** Notes that an account was logged in from a network. The last twenty are kept, for 90 days each; its user's row is locked. */
export async function noteNetwork(sql: ISql, userId: string, network: Buffer): Promise<void> {
  await sql`
    insert into known_networks (user_id, network, last_login_at) values (${userId}, ${network}, now())
    on conflict (user_id, network) do update set last_login_at = excluded.last_login_at`
  await sql`
    delete from known_networks
    where user_id = ${userId} and (
      last_login_at <= now() - ${KNOWN}::interval
      or network not in (
        select network from known_networks where user_id = ${userId} order by last_login_at desc limit ${KEPT}))`
}
