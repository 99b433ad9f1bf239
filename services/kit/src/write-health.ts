import type { Logger } from './log.ts'
import type { Sql } from './postgres.ts'
import { repeat } from './repeat.ts'

const EVERY_MS = 2000

/** What Postgres says where its disk is full (SQLSTATE disk_full). */
const DISK_FULL = '53100'
const isDiskFull = (error: unknown) => (error as { code?: unknown } | undefined)?.code === DISK_FULL

/** Whether Postgres's disk has room for what is written. */
export interface WriteHealth {
  /** Called with each error of Postgres. */
  failed(error: unknown): void
  /** Calls back with the state, at once and whenever it changes. */
  follow(changed: (isHealthy: boolean) => void): void
  close(): Promise<void>
}

/**
 * Follows whether Postgres's disk is full, and says so in the log: from the first write that fails for it, until `write`
 * succeeds, which is tried every two seconds from then on, and never before.
 */
export function watchWrites({
  write,
  log,
  everyMs = EVERY_MS,
}: {
  /** Writes what needs room on the disk. */
  write: () => Promise<void>
  log: Logger
  everyMs?: number
}): WriteHealth {
  let isHealthy = true
  const followers: ((isHealthy: boolean) => void)[] = []
  const set = (is: boolean) => {
    isHealthy = is
    for (const changed of followers) changed(is)
  }
  const probe = async () => {
    if (isHealthy) return
    await write()
    log.info("Postgres's disk has room again")
    set(true)
  }
  // Where it fails, the state stays: that was said.
  const probing = repeat(() => probe().catch(() => {}), { everyMs, log })
  return {
    failed(error) {
      if (!isHealthy || !isDiskFull(error)) return
      log.error("Postgres's disk is full: calls that change something are refused until it has room")
      set(false)
    },
    follow(changed) {
      followers.push(changed)
      changed(isHealthy)
    },
    close: () => probing.close(),
  }
}

const rolledBack = new Error('rolled back')

/**
 * Writes a MiB and takes it back. Into a table of its own: a row in one that is there may find room in a page that is
 * there, on a disk that is full.
 */
export async function writeAndForget(sql: Sql): Promise<void> {
  await sql
    .begin(async (tx) => {
      // Shorter strings than 2,000 characters are not compressed.
      await tx`create table write_probe as select repeat('x', 1900) as filler from generate_series(1, 550)`
      throw rolledBack
    })
    .catch((error) => {
      if (error !== rolledBack) throw error
    })
}
