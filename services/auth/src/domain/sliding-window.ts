import { LRUCache } from 'lru-cache'

/** How much a window still admits. */
export interface Rate {
  readonly admitted: boolean
  readonly limit: number
  readonly remaining: number
  /** Seconds until a place is free where none is, otherwise until the oldest counted call leaves the window. */
  readonly resetSeconds: number
}

/** Counts calls per subject in sliding windows. */
export interface SlidingWindows {
  /** Counts a call of the subject where the window admits it; a refusal counts nothing. */
  take(subject: string, limit: number, now: Date): Rate
}

// Past so many subjects, the one not seen for longest is forgotten: memory stays bounded under any traffic.
const MAX_SUBJECTS = 100_000

/**
 * Exact sliding windows: the times of the admitted calls are kept, so that no span of the window's length ever holds
 * more than the limit, wherever it begins.
 */
export function createSlidingWindows(windowMs: number): SlidingWindows {
  const subjects = new LRUCache<string, number[]>({ max: MAX_SUBJECTS })
  return {
    take(subject, limit, now) {
      const time = now.getTime()
      const times = subjects.get(subject) ?? []
      while (times[0] !== undefined && times[0] <= time - windowMs) times.shift()
      const admitted = times.length < limit
      if (admitted) times.push(time)
      subjects.set(subject, times)
      const leaving = times[admitted ? 0 : times.length - limit] ?? time
      return {
        admitted,
        limit,
        remaining: Math.max(limit - times.length, 0),
        resetSeconds: Math.max(Math.ceil((leaving + windowMs - time) / 1000), 1),
      }
    },
  }
}
