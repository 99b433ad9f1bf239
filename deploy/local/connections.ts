import { connectionsOf } from '@instatunnel/kit/postgres'
import postgres from 'postgres'
import type { Config } from './config.ts'
import { storingServices } from './service-names.ts'

/** Left over for administrators, for tests, and for a replica that restarts before its old connections are gone. */
const spareConnections = 30

/** How many connections to PostgreSQL all replicas may open together. */
export const connectionsNeeded = ({ replicas, poolSize }: Pick<Config, 'replicas' | 'poolSize'>): number =>
  storingServices.length * replicas * connectionsOf(poolSize)

/** The max_connections of a PostgreSQL that serves this platform alone; PostgreSQL's own default at least. */
export const maxConnections = (config: Pick<Config, 'replicas' | 'poolSize'>): number =>
  Math.max(100, connectionsNeeded(config) + spareConnections)

/** Refuses a PostgreSQL of the user's own that cannot be reached, or allows fewer connections than all replicas may open. */
export async function refuseTooFewConnections(
  databaseUrl: string,
  config: Pick<Config, 'replicas' | 'poolSize'>,
): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => {} })
  try {
    const [allowed] = await sql<{ connections: number }[]>`
      select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) as connections`
    const needed = connectionsNeeded(config)
    if (!allowed || allowed.connections >= needed) return
    const { poolSize, replicas } = config
    throw new Error(
      `it allows ${allowed.connections} connections, and the services may open ${needed}. Raise its max_connections, ` +
        `or lower POSTGRES_POOL_SIZE (${poolSize}) or INSTATUNNEL_REPLICAS (${replicas})`,
    )
  } catch (error) {
    // The client's messages name the server and never the password.
    throw new Error(`The PostgreSQL of DATABASE_URL cannot be used: ${(error as Error).message}`)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
