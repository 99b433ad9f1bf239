import type { ISql } from '@instatunnel/kit/postgres'

/** What the other services' decisions need of a tunnel. */
export interface TunnelRecord {
  readonly tunnelId: string
  readonly userId: string
  readonly subdomain: string
  /** How many tokens the tunnel had before the one it has. */
  readonly tokenGeneration: number
  /** How many of the user's tunnels are older. */
  readonly olderTunnels: number
  /** How many seconds the local server may take to answer; 0 for no limit, undefined for the platform's. */
  readonly responseTimeout: number | undefined
}

/** The tunnel with this id, whoever has it. */
export async function findTunnelRecord(sql: ISql, id: string): Promise<TunnelRecord | undefined> {
  const [record] = await sql<(Omit<TunnelRecord, 'responseTimeout'> & { responseTimeout: number | null })[]>`
    select id as tunnel_id, user_id, subdomain, token_generation, response_timeout, (
      select count(*)::integer from tunnels as older where older.user_id = tunnels.user_id and older.id < tunnels.id
    ) as older_tunnels
    from tunnels
    where id = ${id}`
  return record && { ...record, responseTimeout: record.responseTimeout ?? undefined }
}

/** Those of these subdomains that a tunnel has. */
export async function findSubdomains(sql: ISql, subdomains: readonly string[]): Promise<string[]> {
  const rows = await sql<{ subdomain: string }[]>`
    select subdomain from tunnels where subdomain = any(${subdomains as string[]})`
  return rows.map(({ subdomain }) => subdomain)
}

/** The tunnel whose token has one of these hashes. */
export async function findTunnelByToken(
  sql: ISql,
  hashes: readonly Buffer[],
): Promise<Omit<TunnelRecord, 'subdomain' | 'olderTunnels' | 'responseTimeout'> | undefined> {
  const [record] = await sql<TunnelRecord[]>`
    select id as tunnel_id, user_id, token_generation from tunnels where token_hash in ${sql(hashes as Buffer[])}`
  return record
}
