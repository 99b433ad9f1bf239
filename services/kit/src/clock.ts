import type { Logger } from './log.ts'
import type { Sql } from './postgres.ts'
import { repeat } from './repeat.ts'

const EVERY_MS = 2000
/** From here on a replica says that its clock is off, and deletes nothing that is too old by it. */
const OFF_MS = 5000
/** From here on it is not ready. */
const WRONG_MS = 30_000

/** How this replica's clock compares with the database's, which all replicas share. */
export interface Clock {
  /** False while the clocks differ by more than 30 s: then no rpc is served. */
  isReady(): boolean
  /** Compares the clocks now; false where they differ by more than 5 s. */
  isExact(): Promise<boolean>
  /** Calls the listener now and whenever `isReady` changes. */
  onReady(listener: (isReady: boolean) => void): void
  close(): Promise<void>
}

/**
 * Compares this replica's clock with the database's, now and every two seconds. While the database is away the last result
 * stands.
 */
export async function watchClock(options: {
  sql: Sql
  log: Logger
  wallClock: () => Date
  everyMs?: number
}): Promise<Clock> {
  const { sql, log, wallClock, everyMs = EVERY_MS } = options
  const listeners: ((isReady: boolean) => void)[] = []
  let skewMs = 0

  const measure = async () => {
    const before = skewMs
    skewMs = await measureSkew(sql, wallClock)
    if (gradeOf(skewMs) === gradeOf(before)) return
    const told = { skewSeconds: Math.round(skewMs / 1000) }
    if (gradeOf(skewMs) === 'wrong') log.error(told, "not ready: the clock differs from the database's")
    else if (gradeOf(skewMs) === 'off') log.warn(told, "the clock differs from the database's")
    else log.info(told, "the clock agrees with the database's again")
    for (const listener of listeners) listener(gradeOf(skewMs) !== 'wrong')
  }
  await measure()
  // Where the database is away others say so.
  const watching = repeat(() => measure().catch(() => {}), { everyMs, log })
  return {
    isReady: () => gradeOf(skewMs) !== 'wrong',
    async isExact() {
      await measure()
      return gradeOf(skewMs) === 'exact'
    },
    onReady(listener) {
      listeners.push(listener)
      listener(gradeOf(skewMs) !== 'wrong')
    },
    close: () => watching.close(),
  }
}

const gradeOf = (skewMs: number) => {
  if (Math.abs(skewMs) > WRONG_MS) return 'wrong'
  return Math.abs(skewMs) > OFF_MS ? 'off' : 'exact'
}

/** By how many milliseconds our clock is ahead of the database's, at least; negative where it is behind. */
async function measureSkew(sql: Sql, wallClock: () => Date): Promise<number> {
  const began = wallClock().getTime()
  const since = performance.now()
  const [row] = await sql<
    { at: number }[]
  >`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`
  const tookMs = performance.now() - since
  if (!row) throw new Error('the database does not tell the time')
  // It looked at its clock at some moment between our question and its answer.
  const [least, most] = [began - row.at, began - row.at + tookMs]
  if (least > 0) return least
  return Math.min(most, 0)
}
