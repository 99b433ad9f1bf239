const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Aborts at the first signal to stop; at the second, the process ends as it is. */
export function stopSignal(): { readonly signal: AbortSignal; forget(): void } {
  const stopping = new AbortController()
  const stop = () => {
    if (stopping.signal.aborted) process.exit(1)
    stopping.abort()
  }
  for (const name of SIGNALS) process.on(name, stop)
  return {
    signal: stopping.signal,
    forget: () => {
      for (const name of SIGNALS) process.off(name, stop)
    },
  }
}
