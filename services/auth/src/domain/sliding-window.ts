import type { Rate } from '@instatunnel/kit/rate'
import { LRUCache } from 'lru-cache'

/** A window's answer to one call. */
export interface Taken extends Rate {
  readonly admitted: boolean
}

/** Counts calls per subject in sliding windows. */
export interface SlidingWindows {
  /** Counts a call of the subject where the window admits it; a refusal counts nothing. */
  take(subject: string, limit: number, now: Date): Taken
}

// Past so many subjects, the one not seen for longest is forgotten: memory stays bounded under any traffic.
const MAX_SUBJECTS = 100_000

/**
 * Exact sliding windows: the times of the admitted calls are kept, so that no span of the window's length ever holds
 * more than the limit, wherever it begins.
 */
export function createSlidingWindows(windowMs: number): SlidingWindows {
  const subjects = new LRUCache<string, Window>({ max: MAX_SUBJECTS })
  return {
    take(subject, limit, now) {
      const time = now.getTime()
      const window = subjects.get(subject) ?? { times: [], first: 0 }
      forget(window, time - windowMs)
      const { times, first } = window
      const admitted = times.length - first < limit
      if (admitted) times.push(time)
      subjects.set(subject, window)
      const counted = times.length - first
      // Where the limit was lowered, more than one call must leave before a place is free.
      const leaving = times[admitted ? first : times.length - limit] ?? time
      return {
        admitted,
        limit,
        remaining: Math.max(limit - counted, 0),
        resetSeconds: Math.max(Math.ceil((leaving + windowMs - time) / 1000), 1),
      }
    },
  }
}

/** The times of admitted calls, in order; those before `first` have left the window. */
interface Window {
  times: number[]
  first: number
}

function forget(window: Window, until: number): void {
  const { times } = window
  while (window.first < times.length && (times[window.first] as number) <= until) window.first++
  // Moved down only when half of it is dead, so that a call costs the same whatever the limit.
  if (window.first * 2 > times.length) {
    window.times = times.slice(window.first)
    window.first = 0
  }
}
