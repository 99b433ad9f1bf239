import type { Refusal } from '@instatunnel/kit/refusal'
import PQueue from 'p-queue'

/** Who waits in a bulkhead. */
export interface BulkheadCaller {
  /** Aborts when the caller goes away: its turn is dropped. */
  readonly signal: AbortSignal
  /** Whether it goes before those that nobody knows: these have a queue of their own to fill. */
  readonly isKnown: boolean
}

/** Runs work, some at once and a short queue behind it; rejects with the refusal where the queue is full. */
export type Bulkhead = <T>(work: () => Promise<T>, caller: BulkheadCaller) => Promise<T>

/** Creates a bulkhead. `maxWaiting` is how many of the known, and how many others, may wait. */
export function createBulkhead(options: {
  atOnce: number
  maxWaiting: number
  full: () => Refusal
}): Bulkhead {
  const { atOnce, maxWaiting, full } = options
  const queue = new PQueue({ concurrency: atOnce })
  return async (work, { signal, isKnown }) => {
    const priority = isKnown ? 1 : 0
    if (queue.sizeBy({ priority }) >= maxWaiting) throw full()
    signal.throwIfAborted()
    // Not the caller's own signal: p-queue lets the next one in when that aborts, and work that has begun goes on.
    const waiting = new AbortController()
    const leave = () => waiting.abort(signal.reason)
    signal.addEventListener('abort', leave)
    const begin = () => {
      signal.removeEventListener('abort', leave)
      return work()
    }
    return queue.add(begin, { priority, signal: waiting.signal })
  }
}
