import { AsyncLocalStorage } from 'node:async_hooks'
import type { Sql } from 'postgres'
import type { PendingQuery, Pool, PoolConnection } from './postgres-pool.ts'

/** The signal of the call that is being handled: what it waits for is not begun once its caller has gone. */
export const callerSignal = new AsyncLocalStorage<AbortSignal>()

/** Why a query was not sent. Its `code` is what kit/status answers by. */
class PoolError extends Error {
  readonly code: 'POOL_EXHAUSTED' | 'CALLER_GONE'

  constructor(code: PoolError['code'], message: string) {
    super(message)
    this.code = code
  }
}

interface Waiting {
  readonly signal: AbortSignal | undefined
  readonly timer: NodeJS.Timeout
  go(): void
  refuse(error: PoolError): void
}

/** Who uses a pool's connections, and who waits for one, first come first served. */
interface PoolQueue {
  /** Calls `go` once a connection is free, which `leave` must give back; or `refuse`, after the wait. */
  enter(go: () => void, refuse: (error: Error) => void): void
  leave(): void
}

/** How long a query waits for a connection. */
export interface PoolBounds {
  readonly connections: number
  /** Where no connection was given back for this long, all that wait are refused. */
  readonly stuckMs: number
  /** The longest wait, where connections are given back but too few of them. */
  readonly waitMs: number
}

function createPoolQueue({ connections, stuckMs, waitMs }: PoolBounds): PoolQueue {
  let free = connections
  const waiting = new Set<Waiting>()
  const refuse = (entry: Waiting, error: PoolError) => {
    waiting.delete(entry)
    clearTimeout(entry.timer)
    entry.refuse(error)
  }
  const exhausted = () => new PoolError('POOL_EXHAUSTED', 'no connection to Postgres was free in time')
  let stuck: NodeJS.Timeout | undefined
  const watch = () => {
    clearTimeout(stuck)
    if (waiting.size === 0) return
    stuck = setTimeout(() => {
      for (const entry of waiting) refuse(entry, exhausted())
    }, stuckMs)
  }
  return {
    enter(go, refused) {
      if (free > 0) {
        free--
        return go()
      }
      const timer = setTimeout(() => refuse(entry, exhausted()), waitMs)
      const entry: Waiting = { signal: callerSignal.getStore(), timer, go, refuse: refused }
      waiting.add(entry)
      if (waiting.size === 1) watch()
    },
    leave() {
      for (const entry of waiting) {
        if (entry.signal?.aborted) {
          refuse(entry, new PoolError('CALLER_GONE', 'the caller went away before a connection was free'))
          continue
        }
        waiting.delete(entry)
        clearTimeout(entry.timer)
        watch()
        return entry.go()
      }
      watch()
      free++
    },
  }
}

/** Calls `go` with a connection of the pool, once there is one, and what gives it back. */
type Take = (
  go: (connection: PoolConnection, giveBack: () => void) => void,
  refuse: (error: Error) => void,
) => void

/**
 * What makes queries, but that the pool sends them and that a query or transaction waits for a connection within bounds:
 * postgres.js itself would have it wait for ever, behind queries of any length, and lets queries share a connection that
 * is busy. `failed` is told the error of each query or transaction that was sent and failed.
 */
export function boundWaits(
  sql: Sql,
  pool: Pool,
  bounds: PoolBounds,
  failed: (error: unknown) => void = () => {},
): Sql {
  const queue = createPoolQueue(bounds)
  const take: Take = (go, refuse) =>
    queue.enter(() => {
      const connection = pool.take()
      const giveBack = () => {
        connection.giveBack()
        queue.leave()
      }
      go(connection, giveBack)
    }, refuse)
  const bound = <Made>(made: Made): Made => {
    if (made instanceof Promise) bindQuery(made as unknown as PendingQuery, take, failed)
    return made
  }
  const begin = (...work: unknown[]) =>
    new Promise((resolve, reject) =>
      take((connection, giveBack) => {
        const transaction = (connection.begin as (...work: unknown[]) => Promise<unknown>)(...work)
        transaction.then(giveBack, (error) => {
          afterClose(giveBack)
          failed(error)
        })
        transaction.then(resolve, reject)
      }, reject),
    )
  const reserve: Sql['reserve'] = () =>
    new Promise((resolve, reject) =>
      take((connection, giveBack) => {
        connection.reserve().then(
          (reserved) => {
            const { release } = reserved
            const releaseBoth = () => {
              release()
              giveBack()
            }
            resolve(Object.assign(reserved, { release: releaseBoth }))
          },
          (error) => {
            afterClose(giveBack)
            reject(error)
          },
        )
      }, reject),
    )
  const call = (...args: Parameters<Sql>) => bound(sql(...args))
  const unsafe: Sql['unsafe'] = (...args) => bound(sql.unsafe(...args))
  const end: Sql['end'] = async (how) => {
    await Promise.all([pool.end(how), sql.end(how)])
  }
  return Object.assign(call, sql, { unsafe, begin, end, reserve }) as unknown as Sql
}

function bindQuery(query: PendingQuery, take: Take, failed: (error: unknown) => void): void {
  // A query that is part of another one is never handled.
  query.handler = () =>
    take(
      (connection, giveBack) => {
        const { resolve, reject } = query
        query.resolve = (result) => {
          resolve(result)
          leave(queueMicrotask)
        }
        query.reject = (error) => {
          reject(error)
          leave(afterClose)
          failed(error)
        }
        // postgres.js says that a query is over before it has put the connection back, or has seen that it is gone: the
        // next query would be written to this one.
        let leave = (later: (then: () => void) => void) => {
          later(giveBack)
          leave = () => {} // a connection that breaks may say so twice
        }
        connection.send(query)
      },
      (error) => query.reject(error),
    )
}

/** Sockets say that they have closed after the immediates of a round of the event loop: the next round's come after that. */
const afterClose = (then: () => void) => setImmediate(setImmediate, then)
