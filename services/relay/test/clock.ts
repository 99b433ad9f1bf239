import type { Every } from '@instatunnel/kit/relay-routes'

/** A clock that stands still until a test lets time pass, and the timers that go by it. */
export function createClock(start = '2026-07-01T12:00:00Z') {
  let at = Date.parse(start)
  const timers = new Set<{ ms: number; dueAt: number; work: () => void }>()
  const every: Every = (ms, work) => {
    const timer = { ms, dueAt: at + ms, work }
    timers.add(timer)
    return () => timers.delete(timer)
  }
  return {
    now: () => new Date(at),
    every,
    /** Lets time pass, timer by timer. */
    pass(ms: number) {
      const until = at + ms
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.dueAt - b.dueAt)
        if (!next || next.dueAt > until) break
        at = next.dueAt
        next.dueAt += next.ms
        next.work()
      }
      at = until
    },
  }
}
