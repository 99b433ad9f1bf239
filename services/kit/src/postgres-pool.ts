import postgres, { type Options, type PostgresType, type Sql } from 'postgres'
import { createBegin } from './transaction.ts'

// Longer than a statement may take: what a pool that is given up still does comes to its end.
const FAREWELL_SECONDS = 10

/** The part of postgres.js's Query that decides when it is sent, and learns that it is over. */
export interface PendingQuery {
  handler(query: PendingQuery): void
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** Connections to Postgres, none of which is used again once it broke. */
export interface Pool {
  /** Sends the query on one of the connections. */
  send(query: PendingQuery): void
  readonly begin: Sql['begin']
  readonly reserve: Sql['reserve']
  readonly end: Sql['end']
}

/**
 * Opens a pool that is replaced by a new one when a connection of it closes. postgres.js would open the same connection
 * again with what was left of the old one: a write that it will not begin, so that the connection is never ready
 * (https://github.com/LanternOps/breeze/issues/3225), and the old error as the next query's answer
 * (https://github.com/porsager/postgres/pull/1215). What is under way on the other connections goes on.
 */
export function openPool(
  url: string,
  options: Options<Record<string, PostgresType>>,
  isLost: (error: unknown) => boolean,
): Pool {
  const open = () => {
    const sql = postgres(url, {
      ...options,
      onclose: () => {
        if (current.sql !== sql || ended) return
        current = open()
        void sql.end({ timeout: FAREWELL_SECONDS })
      },
    })
    // A query that is never sent has the function that would send it.
    const { handler } = sql`` as unknown as PendingQuery
    return { sql, handler, begin: createBegin(sql, isLost) }
  }
  let ended = false
  let current = open()
  return {
    send: (query) => current.handler(query),
    begin: ((...work: Parameters<Sql['begin']>) => current.begin(...work)) as Sql['begin'],
    reserve: () => current.sql.reserve(),
    end: (how) => {
      ended = true
      return current.sql.end(how)
    },
  }
}
