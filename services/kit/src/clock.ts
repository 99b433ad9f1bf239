import type { Logger } from './log.ts'
import type { ISql } from './postgres.ts'
import { repeat } from './repeat.ts'

const EVERY_MS = 2000
/** From here on a replica says that its clock is off, and deletes nothing that is too old by it. */
const OFF_MS = 5000
/** From here on it is not ready. */
const WRONG_MS = 30_000

/** How this replica's clock compares with the database's: within 5 s, within 30 s, or past that. */
export type ClockState = 'exact' | 'off' | 'wrong'

/** Reads the database's clock: milliseconds since the epoch. */
export type ReadTime = (signal?: AbortSignal) => Promise<number>

/** This replica's clock beside the database's, which all replicas share. */
export interface Clock {
  /** The database's time: this machine's, less what it differs as far as is known. */
  now(): Date
  /** False while the clocks differ by more than 30 s, and from a jump of this one until they are compared: then no rpc is served. */
  isReady(): boolean
  /** Compares the clocks now; false where they differ by more than 5 s. Rejects where the database's cannot be read. */
  isExact(): Promise<boolean>
  state(): ClockState
  /** Calls the listener now and whenever the state changes. */
  follow(listener: (state: ClockState) => void): void
  close(): Promise<void>
}

/**
 * Compares this replica's clock with the database's every two seconds; the first time is for the caller, by `isExact`. While
 * the database's cannot be read the last result stands.
 */
export function watchClock(options: {
  readTime: ReadTime
  log: Logger
  /** The machine's clock, where it is another one. */
  wallClock?: (() => Date) | undefined
  everyMs?: number
}): Clock {
  const { readTime, log, wallClock, everyMs = EVERY_MS } = options
  // Each call asks for it: no Date is made where none is needed.
  const wallMs = wallClock ? () => wallClock().getTime() : Date.now
  const listeners: ((state: ClockState) => void)[] = []
  let skewMs = 0
  /** When the process began, by a clock that may be set: it changes where that is. */
  const startedAt = () => wallMs() - performance.now()
  let comparedStart = startedAt()

  const measure = async (signal?: AbortSignal) => {
    const start = startedAt()
    const measured = await measureSkew(() => readTime(signal), wallMs)
    const before = stateOf(skewMs)
    skewMs = measured
    comparedStart = start
    const state = stateOf(skewMs)
    if (state === before) return
    const told = { skewSeconds: Math.round(skewMs / 1000) }
    if (state === 'wrong') log.error(told, "not ready: the clock differs from the database's")
    else if (state === 'off') log.warn(told, "the clock differs from the database's")
    else log.info(told, "the clock agrees with the database's again")
    for (const listener of listeners) listener(state)
  }
  // Where the database is away others say so.
  const watching = repeat((signal) => measure(signal).catch(() => {}), { everyMs, log })
  return {
    now: () => new Date(wallMs() - skewMs),
    isReady: () => stateOf(skewMs) !== 'wrong' && Math.abs(startedAt() - comparedStart) <= OFF_MS,
    async isExact() {
      await measure()
      return stateOf(skewMs) === 'exact'
    },
    state: () => stateOf(skewMs),
    follow(listener) {
      listeners.push(listener)
      listener(stateOf(skewMs))
    },
    close: () => watching.close(),
  }
}

const stateOf = (skewMs: number): ClockState => {
  if (Math.abs(skewMs) > WRONG_MS) return 'wrong'
  return Math.abs(skewMs) > OFF_MS ? 'off' : 'exact'
}

/** By how many milliseconds our clock is ahead of the database's, at least; negative where it is behind. */
async function measureSkew(readTime: ReadTime, wallMs: () => number): Promise<number> {
  const began = wallMs()
  const since = performance.now()
  const time = await readTime()
  const tookMs = performance.now() - since
  // It was looked at at some moment between our question and its answer.
  const [least, most] = [began - time, began - time + tookMs]
  if (least > 0) return least
  return Math.min(most, 0)
}

/** The database's clock: milliseconds since the epoch. */
export async function databaseTime(sql: ISql): Promise<number> {
  const [row] = await sql<{ at: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`
  if (!row) throw new Error('the database does not tell the time')
  return row.at
}
