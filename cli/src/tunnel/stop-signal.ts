const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
// One Ctrl-C may arrive twice, from the terminal and handed on.
const SAME_SIGNAL_MS = 500
const PARENT_LOOK_MS = 500

/**
 * Aborts at the first signal to stop; at the second, the process ends as it is. npx keeps a signal that is sent to it
 * alone to itself: with `underNpm` its end counts as one.
 */
export function stopSignal({ underNpm }: { underNpm: boolean }): {
  readonly signal: AbortSignal
  forget(): void
} {
  const stopping = new AbortController()
  let first = 0
  const stop = () => {
    if (!stopping.signal.aborted) {
      first = performance.now()
      stopping.abort()
    } else if (performance.now() - first > SAME_SIGNAL_MS) process.exit(1)
  }
  for (const name of SIGNALS) process.on(name, stop)
  const parent = process.ppid
  const looking = underNpm
    ? setInterval(() => {
        if (process.ppid !== parent && !stopping.signal.aborted) stop()
      }, PARENT_LOOK_MS)
    : undefined
  return {
    signal: stopping.signal,
    forget: () => {
      clearInterval(looking)
      for (const name of SIGNALS) process.off(name, stop)
    },
  }
}
