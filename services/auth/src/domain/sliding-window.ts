import type { Rate } from '@instatunnel/kit/rate'
import { addMoment, forgetMoments, type Moments, momentAfter, noMoments, removeMoment } from './moments.ts'
import { createSteadyTime } from './steady-time.ts'
import { kindOf } from './window-bounds.ts'

/** A window's answer to one call. */
export interface Taken extends Rate {
  readonly admitted: boolean
}

/**
 * Counts calls per subject in sliding windows; `now` is what the clock says when it is asked, and never an older time. A
 * promise is answered where another replica counts the subject.
 */
export interface SlidingWindows {
  /** Counts a call of the subject where the window admits it; a refusal counts nothing. */
  take(subject: string, limit: number, now: Date): Taken | Promise<Taken>
  /** What the window would say to a call; counts nothing. */
  look(subject: string, limit: number, now: Date): Taken | Promise<Taken>
  /** Undoes the take that was admitted at that very `now`. */
  giveBack(subject: string, now: Date): void
}

/** Windows that are counted right here. */
export interface LocalWindows extends SlidingWindows {
  take(subject: string, limit: number, now: Date): Taken
  look(subject: string, limit: number, now: Date): Taken
}

/** Counts the subjects of these kinds in their own way, and all others by the windows. */
export function countedByKind(kinds: ReadonlyMap<string, LocalWindows>, others: LocalWindows): LocalWindows {
  const of = (subject: string) => kinds.get(kindOf(subject)) ?? others
  return {
    take: (subject, limit, now) => of(subject).take(subject, limit, now),
    look: (subject, limit, now) => of(subject).look(subject, limit, now),
    giveBack: (subject, now) => of(subject).giveBack(subject, now),
  }
}

// Twice so many subjects at most: under any traffic, those not seen for longest are forgotten, and memory stays bounded.
const MAX_SUBJECTS = 100_000

/**
 * Sliding windows in memory: the times of the admitted calls are kept, so that no span of the window's length ever holds
 * more than the limit, wherever it begins. Up to a thousand calls a window they are exact. A clock that is set back moves no
 * window: what was taken before that leaves by itself when it would have, and is not given back.
 */
export function createSlidingWindows(windowMs: number): LocalWindows {
  // What was not seen for as long as a window lasts counts nothing any more, and goes as a whole.
  let recent = new Map<string, Moments>()
  let older = recent
  let recentSince = Number.NEGATIVE_INFINITY
  const steady = createSteadyTime()

  const find = (subject: string, time: number): Moments | undefined => {
    if (time - recentSince >= windowMs || recent.size >= MAX_SUBJECTS) {
      older = recent
      recent = new Map()
      recentSince = time
    }
    const known = recent.get(subject)
    if (known) return known
    const moments = older.get(subject)
    if (moments) recent.set(subject, moments)
    return moments
  }

  const admits = (moments: Moments, limit: number, time: number): boolean => {
    forgetMoments(moments, time - windowMs)
    return moments.counted < limit
  }
  const told = (moments: Moments, admitted: boolean, limit: number, time: number): Taken => {
    const { counted } = moments
    // Where the limit was lowered, more than one call must leave before a place is free.
    const leaving = momentAfter(moments, admitted ? 0 : counted - limit) ?? time
    return {
      admitted,
      limit,
      remaining: Math.max(limit - counted, 0),
      resetSeconds: Math.max(Math.ceil((leaving + windowMs - time) / 1000), 1),
    }
  }

  return {
    take(subject, limit, now) {
      const time = steady.now(now.getTime())
      let moments = find(subject, time)
      if (!moments) {
        moments = noMoments()
        recent.set(subject, moments)
      }
      const admitted = admits(moments, limit, time)
      if (admitted) addMoment(moments, time, windowMs)
      return told(moments, admitted, limit, time)
    },
    look(subject, limit, now) {
      const time = steady.now(now.getTime())
      const moments = find(subject, time) ?? noMoments()
      return told(moments, admits(moments, limit, time), limit, time)
    },
    giveBack(subject, now) {
      const time = steady.was(now.getTime())
      const moments = find(subject, time)
      if (moments) removeMoment(moments, time)
    },
  }
}
