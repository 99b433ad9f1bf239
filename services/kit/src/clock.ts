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
  /** The database's time, as far as is known: counted on from when they were compared last, whatever is done to this machine's clock. */
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

/** Counts on evenly, whatever is done to any clock: for how long something takes. Its dates mean nothing. */
export const monotonicNow = (): Date => new Date(performance.now())

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
  /** By how much this machine's clock is ahead of the process's own, which is never set. */
  const machineAhead = () => wallMs() - performance.now()
  let comparedMs = machineAhead()
  /** By how much the database's clock is; until they are compared this machine's stands for it. */
  let databaseMs = comparedMs
  let skewMs = 0

  const measure = async (signal?: AbortSignal) => {
    const machineMs = machineAhead()
    const [least, most] = await databaseAhead(() => readTime(signal))
    const before = stateOf(skewMs)
    skewMs = machineMs - within(least, machineMs, most)
    databaseMs = within(least, databaseMs, most)
    comparedMs = machineMs
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
    now: () => new Date(databaseMs + performance.now()),
    isReady: () => stateOf(skewMs) !== 'wrong' && Math.abs(machineAhead() - comparedMs) <= OFF_MS,
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

/** What of a range is nearest to a number. */
const within = (least: number, wanted: number, most: number) => Math.max(least, Math.min(wanted, most))

/** By how many milliseconds the database's clock is ahead of performance.now(): at least, and at most. */
async function databaseAhead(readTime: ReadTime): Promise<[least: number, most: number]> {
  const asked = performance.now()
  const time = await readTime()
  // It was looked at at some moment between our question and its answer.
  return [time - performance.now(), time - asked]
}

/** The database's clock: milliseconds since the epoch. */
export async function databaseTime(sql: ISql): Promise<number> {
  const [row] = await sql<{ at: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`
  if (!row) throw new Error('the database does not tell the time')
  return row.at
}
