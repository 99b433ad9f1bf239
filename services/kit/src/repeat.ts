import type { Logger } from './log.ts'

/** Work that is done again and again. */
export interface Repeated {
  /** Lets what is under way finish; nothing is begun any more. */
  close(): Promise<void>
}

/**
 * Does some work, rests for `everyMs`, and does it again, the first time after a rest. Where it fails that is logged, and
 * the next time comes all the same. The signal aborts when it is closed: work of many steps ends with the one it is at.
 */
export function repeat(
  work: (signal: AbortSignal) => Promise<void>,
  { everyMs, log }: { everyMs: number; log: Logger },
): Repeated {
  const closing = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> = Promise.resolve()
  const rest = () => {
    if (closing.signal.aborted) return
    timer = setTimeout(() => {
      working = work(closing.signal)
        .catch((error) => log.warn({ cause: String(error) }, 'failed, and is tried again later'))
        .then(rest)
    }, everyMs)
  }
  rest()
  return {
    close() {
      closing.abort()
      clearTimeout(timer)
      return working
    },
  }
}
