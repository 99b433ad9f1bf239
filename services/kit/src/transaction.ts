import { setTimeout } from 'node:timers/promises'
import type { Sql, TransactionSql } from 'postgres'

/** What a transaction is given to do. */
type Work = (tx: TransactionSql) => unknown

// How long a connection that is gone takes to say so; where it says nothing, the error was another's.
const FAREWELL_MS = 1000

/**
 * postgres.js's `begin`, but that it never writes on a connection that is gone. postgres.js would send the rollback,
 * and whatever else the work asks for, which ends the process (https://github.com/porsager/postgres/issues/1154 and
 * /1208); Postgres has rolled back by itself.
 */
export function createBegin(sql: Sql, isLost: (error: unknown) => boolean): Sql['begin'] {
  const plainBegin = sql.begin.bind(sql) as (options: string, work: Work) => Promise<unknown>

  const begin = (options: string, work: Work) =>
    new Promise((resolve, reject) => {
      let over = false
      const end = (settle: (outcome: unknown) => void) => (outcome: unknown) => {
        over = true
        settle(outcome)
      }
      const guarded = (inner: Work) => async (tx: TransactionSql) => {
        try {
          const result = await inner(guard(tx, guarded, () => over))
          if (!over) return result
        } catch (error) {
          if (!over && !isLost(error)) throw error
          reject(error)
          await Promise.race([ended, setTimeout(FAREWELL_MS)])
          if (!over) throw error
        }
        // Whatever postgres.js heard now, it would answer with a commit or a rollback.
        return new Promise(() => {})
      }
      const ended = plainBegin(options, guarded(work)).then(end(resolve), end(reject))
    })
  return ((...given: [Work] | [string, Work]) =>
    given.length === 1 ? begin('', given[0]) : begin(...given)) as Sql['begin']
}

/** The transaction, refusing to be asked for anything once it is over; so do the savepoints within it. */
function guard(tx: TransactionSql, guarded: (inner: Work) => Work, isOver: () => boolean): TransactionSql {
  const check = () => {
    if (isOver()) throw new Error('the transaction is over')
  }
  return new Proxy(tx, {
    apply(target, self, args) {
      check()
      return Reflect.apply(target, self, args)
    },
    get(target, name, receiver) {
      check()
      if (name !== 'savepoint') return Reflect.get(target, name, receiver)
      return (...args: [Work] | [string, Work]) =>
        args.length === 1 ? target.savepoint(guarded(args[0])) : target.savepoint(args[0], guarded(args[1]))
    },
  })
}
