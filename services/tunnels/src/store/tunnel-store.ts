import type { Page } from '@instatunnel/kit/page'
import { type ISql, type TransactionSql, violates } from '@instatunnel/kit/postgres'
import type { KeptToken } from '../domain/token.ts'
import type { Tunnel } from '../domain/tunnel.ts'
import { areOf, type WhoseTunnels } from './whose-tunnels.ts'

const columns = (sql: ISql) => sql`
  id, user_id, name, subdomain, local_port, response_timeout, token_sealed, token_secret_id, created_at, updated_at,
  ephemeral, last_connected`

/** A user's tunnels, newest first: one more than the page holds, where there are more. */
export const listTunnels = (sql: ISql, whose: WhoseTunnels, { size, before }: Page) => sql<Tunnel[]>`
  select ${columns(sql)}
  from tunnels
  where ${areOf(sql, whose)} ${before === undefined ? sql`` : sql`and id < ${before}`}
  order by id desc
  limit ${size + 1}`

/** The tunnel with this id, whoever has it. */
export async function findTunnel(sql: ISql, id: string): Promise<Tunnel | undefined> {
  const [tunnel] = await sql<Tunnel[]>`
    select ${columns(sql)} from tunnels where id = ${id}`
  return tunnel
}

/** A tunnel whose row is locked until the transaction ends. */
export interface LockedTunnel extends Tunnel {
  /** When its token was regenerated lately. */
  readonly regeneratedAt: readonly Date[]
}

/** As findTunnel; whoever else wants to change the tunnel waits. */
export async function lockTunnel(tx: ISql, id: string): Promise<LockedTunnel | undefined> {
  const [tunnel] = await tx<LockedTunnel[]>`
    select ${columns(tx)}, regenerated_at from tunnels where id = ${id} for update`
  return tunnel
}

/** These tunnels, locked as by lockTunnel, and always in the same order. */
export const lockTunnelsOf = (tx: ISql, whose: WhoseTunnels) =>
  tx<LockedTunnel[]>`
    select ${columns(tx)}, regenerated_at from tunnels where ${areOf(tx, whose)} order by id for update`

/** The names of these tunnels, oldest first. */
export const listNames = (sql: ISql, whose: WhoseTunnels) =>
  sql<Pick<Tunnel, 'id' | 'name'>[]>`
    select id, name from tunnels where ${areOf(sql, whose)} order by id`

/** How many tunnels a user has now. */
export async function countTunnels(sql: ISql, userId: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from tunnels where user_id = ${userId}`
  return row?.count ?? 0
}

/**
 * Writes a new tunnel; false where another has its subdomain. Looking first is not for exactness, which is the
 * constraint's: two creates would otherwise wait for one another where each makes room for the other's subdomain.
 */
export async function insertTunnel(tx: ISql, tunnel: Tunnel, token: KeptToken): Promise<boolean> {
  const { id, userId, name, subdomain, localPort, responseTimeout, createdAt, updatedAt, ephemeral } = tunnel
  const { tokenHash, tokenPepperId, tokenSealed, tokenSecretId } = token
  const { count } = await tx`
    insert into tunnels (
      id, user_id, name, subdomain, local_port, response_timeout,
      token_hash, token_pepper_id, token_sealed, token_secret_id, created_at, updated_at, ephemeral)
    select
      ${id}, ${userId}, ${name}, ${subdomain}, ${localPort}, ${responseTimeout}::integer,
      ${tokenHash}, ${tokenPepperId}, ${tokenSealed}, ${tokenSecretId}, ${createdAt}, ${updatedAt}, ${ephemeral}
    where not exists (select 1 from tunnels where subdomain = ${subdomain})
    on conflict on constraint tunnels_subdomain do nothing`
  return count === 1
}

/**
 * Writes a tunnel's choices; false where another has its subdomain. Looking first is not for exactness, which is the
 * constraint's: two tunnels that swap subdomains would otherwise wait for one another.
 */
export async function saveTunnel(tx: TransactionSql, tunnel: Tunnel): Promise<boolean> {
  const { id, name, subdomain, localPort, responseTimeout, updatedAt } = tunnel
  const save = (savepoint: ISql) => savepoint`
    update tunnels
    set name = ${name}, subdomain = ${subdomain}, local_port = ${localPort}, response_timeout = ${responseTimeout},
      updated_at = ${updatedAt}
    where id = ${id}
      and not exists (select 1 from tunnels as other where other.subdomain = ${subdomain} and other.id <> ${id})`
  try {
    const { count } = await tx.savepoint(save)
    return count === 1
  } catch (error) {
    if (violates(error, 'tunnels_subdomain')) return false
    throw error
  }
}

/** Writes a tunnel's new token, and when it was regenerated lately; tells how many tokens there were before. */
export async function replaceToken(
  tx: ISql,
  id: string,
  token: KeptToken,
  { regeneratedAt, now }: { readonly regeneratedAt: readonly Date[]; readonly now: Date },
): Promise<number> {
  const { tokenHash, tokenPepperId, tokenSealed, tokenSecretId } = token
  const [row] = await tx<[{ tokenGeneration: number }]>`
    update tunnels
    set token_hash = ${tokenHash}, token_pepper_id = ${tokenPepperId},
      token_sealed = ${tokenSealed}, token_secret_id = ${tokenSecretId},
      regenerated_at = ${regeneratedAt.map((time) => time.toISOString())}::timestamptz[],
      token_generation = token_generation + 1, updated_at = ${now}
    where id = ${id}
    returning token_generation`
  return row.tokenGeneration
}

/** Removes a tunnel; its subdomain is free when the transaction commits. */
export async function deleteTunnel(tx: ISql, id: string): Promise<void> {
  await tx`delete from tunnels where id = ${id}`
}

/** Writes when an agent connected, where that was later than what is written. */
export async function markConnected(sql: ISql, id: string, at: Date): Promise<void> {
  await sql`
    update tunnels set last_connected = ${at}
    where id = ${id} and (last_connected is null or last_connected < ${at})`
}
