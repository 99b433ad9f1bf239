import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres, { type ISql, type Sql } from 'postgres'
import { POOL_SIZE } from './config.ts'
import { boundWaits } from './pool-queue.ts'
import { arrayTypes } from './postgres-arrays.ts'
import { openPool } from './postgres-pool.ts'

export type { ISql, Sql, TransactionSql } from 'postgres'

/** How many connections a replica opens at most: its pool, and the one that hears of events in the outbox. */
export const connectionsOf = (poolSize: number) => poolSize + 1

// What a statement takes beyond this is given up before the caller, who waits for 5 s.
const STATEMENT_TIMEOUT_MS = 4000
const LOCK_TIMEOUT_MS = 3000
// A replica that stands still amid a transaction holds its locks no longer.
const IDLE_IN_TRANSACTION_MS = 10_000
// With the answer itself this is under a second. A burst that the pool works off is no fault, and may take longer.
const POOL_STUCK_MS = 800
const POOL_WAIT_MS = 3000

/**
 * A pool on the service's own schema; columns come in camelCase. Broken connections are made anew by themselves. A query
 * that waits for a connection fails with code POOL_EXHAUSTED where none is given back for 800 ms, and after 3 s.
 */
export function connectPostgres(options: {
  url: string
  schema: string
  connections?: number
  /** Called with the error of each query or transaction that failed. */
  failed?: (error: unknown) => void
}): Sql {
  const { connections = POOL_SIZE, failed } = options
  const settings = {
    max: connections,
    connect_timeout: 5,
    // Columns only: postgres.camel would rewrite the keys inside JSON values as well.
    transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
    fetch_types: false,
    types: arrayTypes,
    onnotice: () => {},
    connection: {
      application_name: `instatunnel-${options.schema}`,
      search_path: options.schema,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    },
  }
  // It makes the queries, and opens the connection that listens; the pool sends them.
  const sql = postgres(options.url, settings)
  const pool = openPool(options.url, settings, isConnectionLost)
  return boundWaits(sql, pool, { connections, stuckMs: POOL_STUCK_MS, waitMs: POOL_WAIT_MS }, failed)
}

/**
 * Brings the schema up to date: runs the files of each folder that have not run yet, in the order of their names,
 * each in a transaction. Replicas that start at once wait for one another.
 */
export async function migrate(
  sql: Sql,
  options: { schema: string; folders: readonly string[] },
): Promise<void> {
  await sql.begin(async (tx) => {
    // A migration may take long, and so may the wait for another replica's.
    await tx`set local statement_timeout = 0`
    await tx`set local lock_timeout = 0`
    await tx`set local idle_in_transaction_session_timeout = 0`
    await tx`select pg_advisory_xact_lock(hashtextextended(${`migrate:${options.schema}`}, 0))`
    // `create schema if not exists` asks for a right on the database even where the schema is there.
    const [schema] = await tx`select 1 from pg_namespace where nspname = ${options.schema}`
    if (!schema) await tx`create schema ${tx(options.schema)}`
    await tx`
      create table if not exists migrations (name text primary key, run_at timestamptz not null default now())`
    for (const folder of options.folders) await runFolder(tx, folder)
  })
}

async function runFolder(tx: ISql, folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  for (const name of names) {
    const [done] = await tx`select 1 from migrations where name = ${name}`
    if (done) continue
    await tx.unsafe(await readFile(join(folder, name), 'utf8'))
    await tx`insert into migrations (name) values (${name})`
  }
}

/** True where an insert or update met a unique constraint of this name (SQLSTATE 23505). */
export const violates = (error: unknown, constraint: string) => {
  const { code, constraint_name } = (error ?? {}) as { code?: string; constraint_name?: string }
  return code === '23505' && constraint_name === constraint
}

// postgres.js's names for broken connections; SQLSTATE 57P0x and class 08 are Postgres going away, 25P03 is Postgres
// ending a session that was idle in a transaction.
const LOST =
  /^(ECONN(REFUSED|RESET)|EPIPE|CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|57P0[1-5]|08\w{3}|25P03)$/

/** True for an error after which its connection is of no more use. */
export const isConnectionLost = (error: unknown) =>
  LOST.test(String((error as { code?: unknown } | undefined)?.code))
