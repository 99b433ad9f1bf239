import { LRUCache } from 'lru-cache'
import type { LocalWindows, Taken } from './sliding-window.ts'
import { createSteadyTime } from './steady-time.ts'

// The longest delay, and how long it takes until one attempt is forgotten: attempts that never cease come once a minute.
const LONGEST_MS = 60_000
const FIRST_MS = 1000
const MAX_SUBJECTS = 100_000

/** The attempts of a subject: how many are not forgotten yet, as of a time, and from when on the next one is admitted. */
interface Attempts {
  level: number
  at: number
  nextAt: number
  /** How many came at once, when the last one was counted. */
  limit: number
}

/**
 * Counts attempts with delays that grow: `limit` of them come at once, after that each is followed by a delay twice the one
 * before, from a second up to a minute. One attempt is forgotten a minute. A refusal counts nothing, and lengthens nothing.
 */
export function createGrowingDelays(): LocalWindows {
  const subjects = new LRUCache<string, Attempts>({ max: MAX_SUBJECTS })
  const steady = createSteadyTime()

  const attemptsOf = (subject: string, now: Date) => {
    const time = steady.now(now.getTime())
    const { level, at, nextAt, limit } = subjects.get(subject) ?? NONE
    return { level: Math.max(level - (time - at) / LONGEST_MS, 0), at: time, nextAt, limit }
  }
  const told = ({ level, at, nextAt }: Attempts, admitted: boolean, limit: number): Taken => ({
    admitted,
    limit,
    remaining: admitted ? Math.max(Math.floor(limit - level), 0) : 0,
    resetSeconds: Math.max(Math.ceil((nextAt - at) / 1000), 1),
  })

  return {
    take(subject, limit, now) {
      const attempts = attemptsOf(subject, now)
      const admitted = attempts.at >= attempts.nextAt
      if (admitted) {
        attempts.level++
        attempts.limit = limit
        attempts.nextAt = attempts.at + delayAfter(attempts.level, limit)
        subjects.set(subject, attempts)
      }
      return told(attempts, admitted, limit)
    },
    look(subject, limit, now) {
      const attempts = attemptsOf(subject, now)
      return told(attempts, attempts.at >= attempts.nextAt, limit)
    },
    giveBack(subject) {
      const attempts = subjects.get(subject)
      if (!attempts) return
      attempts.level = Math.max(attempts.level - 1, 0)
      // Where it was not the only one past the limit, the delay stays.
      if (delayAfter(attempts.level, attempts.limit) > 0) return
      attempts.nextAt = Number.NEGATIVE_INFINITY
      // Attempts that were not made fill no place: else those of made-up subjects, which cost nothing, had others forgotten.
      if (attempts.level === 0) subjects.delete(subject)
    },
  }
}

const NONE: Attempts = {
  level: 0,
  at: Number.NEGATIVE_INFINITY,
  nextAt: Number.NEGATIVE_INFINITY,
  limit: 0,
}

function delayAfter(level: number, limit: number): number {
  const over = Math.ceil(level) - limit
  return over < 0 ? 0 : Math.min(FIRST_MS * 2 ** over, LONGEST_MS)
}
