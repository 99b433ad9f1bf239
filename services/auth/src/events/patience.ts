// Five ticks are 20 ms. A process that stood still itself, and could have heard nothing, loses one tick by that.
const TICK_MS = 4
const TICKS = 5

/** Waits for answers, for 20 ms each. */
export interface Patience<T> {
  wait(awaited: T): void
  /** No longer waits for it. */
  end(awaited: T): void
  close(): void
}

/** `ranOut` is told what was waited for in vain. */
export function createPatience<T>(ranOut: (awaited: T) => void): Patience<T> {
  const ticksOf = new Map<T, number>()
  let ticking: NodeJS.Timeout | undefined

  const close = () => {
    clearInterval(ticking)
    ticking = undefined
  }
  const look = () => {
    for (const [awaited, ticks] of ticksOf) {
      ticksOf.set(awaited, ticks + 1)
      if (ticks + 1 < TICKS) continue
      ticksOf.delete(awaited)
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
    end(awaited) {
      ticksOf.delete(awaited)
    },
    close,
  }
}
