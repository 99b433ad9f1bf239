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

/** One of a pool's connections, taken by one caller. */
export interface PoolConnection {
  send(query: PendingQuery): void
  readonly begin: Sql['begin']
  readonly reserve: Sql['reserve']
  /** Puts it back, once all that it was asked for is over, and it has said so if it broke. */
  giveBack(): void
}

/** Connections to Postgres, none of which is used again once it broke. */
export interface Pool {
  /** Takes one that is open before one that is not; the caller sees to it that there is one left. */
  take(): PoolConnection
  readonly end: Sql['end']
}

/**
 * Opens a pool in which each connection is a client of its own, and is replaced by a new one when it closes, or could not be
 * opened; the others go on. postgres.js would open the same connection again with what was left of the old one: a write that it
 * will not begin, so that the connection is never ready (https://github.com/LanternOps/breeze/issues/3225), and the old error as
 * the next query's answer (https://github.com/porsager/postgres/pull/1215).
 */
export function openPool(
  url: string,
  options: Options<Record<string, PostgresType>> & { max: number },
  isLost: (error: unknown) => boolean,
): Pool {
  let ended = false
  const connect = (closed: () => void) => {
    const onclose = () => {
      if (ended) return
      closed()
      void sql.end({ timeout: FAREWELL_SECONDS })
    }
    // A connection that postgres.js closes for its age would be closing while the next query is sent on it.
    const sql = postgres(url, { ...options, max: 1, max_lifetime: null, onclose })
    // A query that is never sent has the function that would send it.
    const { handler } = sql`` as unknown as PendingQuery
    return { sql, handler, begin: createBegin(sql, isLost) }
  }
  const create = () => {
    const renew = () => Object.assign(place, { isOpen: false, client: connect(renew) })
    const place = { isFree: true, isOpen: false, client: connect(() => renew()) }
    return place
  }
  /** The one that was taken last comes last. */
  const places = Array.from({ length: options.max }, create)

  return {
    take() {
      const free = places.filter(({ isFree }) => isFree)
      const place = free.find(({ isOpen }) => isOpen) ?? free[0]
      if (!place) throw new Error('all connections of the pool are taken')
      places.push(...places.splice(places.indexOf(place), 1))
      // Unless it closes meanwhile.
      Object.assign(place, { isFree: false, isOpen: true })
      const { client } = place
      return {
        send: client.handler,
        begin: client.begin,
        reserve: client.sql.reserve,
        giveBack() {
          place.isFree = true
        },
      }
    },
    async end(how) {
      ended = true
      await Promise.all(places.map(({ client }) => client.sql.end(how)))
    },
  }
}
