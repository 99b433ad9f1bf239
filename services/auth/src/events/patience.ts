const TICK_MS = 4
// 20 ms where answers come at once, as they do; up to 400 ms where they have been slow: to take a machine that is busy for
// one that is away would be to count twice.
const MIN_TICKS = 5
const MAX_TICKS = 100
// How much of the slowest answer is forgotten with each that comes after it.
const FORGOTTEN = 0.05

/** Waits for answers, for 20 to 400 ms each. */
export interface Patience<T> {
  wait(awaited: T): void
  /** It came. */
  came(awaited: T): void
  /** It will not come, and nobody waits any longer. */
  forget(awaited: T): void
  close(): void
}

/**
 * `ranOut` is told what was waited for in vain. Time is counted in ticks: a process that stood still itself, and could
 * have heard nothing, loses one tick by that.
 */
export function createPatience<T>(ranOut: (awaited: T) => void): Patience<T> {
  const ticksOf = new Map<T, number>()
  let ticking: NodeJS.Timeout | undefined
  let slowest = MAX_TICKS / 2

  const close = () => {
    clearInterval(ticking)
    ticking = undefined
  }
  const look = () => {
    const bound = Math.min(Math.max(2 * slowest, MIN_TICKS), MAX_TICKS)
    for (const [awaited, before] of ticksOf) {
      const ticks = before + 1
      ticksOf.set(awaited, ticks)
      if (ticks < bound) continue
      ticksOf.delete(awaited)
      slowest = MAX_TICKS / 2
      ranOut(awaited)
    }
    if (ticksOf.size === 0) close()
  }
  return {
    wait(awaited) {
      ticksOf.set(awaited, 0)
      // At the end of the turn: whatever has arrived by then is read first.
      ticking ??= setInterval(() => setImmediate(look), TICK_MS)
    },
    came(awaited) {
      slowest = Math.max(ticksOf.get(awaited) ?? 0, slowest * (1 - FORGOTTEN))
      ticksOf.delete(awaited)
    },
    forget: (awaited) => void ticksOf.delete(awaited),
    close,
  }
}
