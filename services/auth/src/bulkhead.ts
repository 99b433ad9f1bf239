import type { Refusal } from '@instatunnel/kit/refusal'

/** Who waits in a bulkhead. */
export interface BulkheadCaller<Queue extends string> {
  /** Aborts when the caller goes away: its turn is dropped. */
  readonly signal: AbortSignal
  /** Where it waits. */
  readonly queue: Queue
  /** The id of the account that it is known to be of: that has few places of a queue. */
  readonly userId?: string
}

/** Runs work, some at once and the rest in short queues; rejects with the refusal where the caller's queue is full. */
export type Bulkhead<Queue extends string> = <T>(
  work: () => Promise<T>,
  caller: BulkheadCaller<Queue>,
) => Promise<T>

// An account has no use of more: they would only take the places of others.
const MAX_WAITING_OF_USER = 2

/**
 * Creates a bulkhead. `maxWaiting` is how many may wait in each queue. The queues take turns: with n of them, who waits
 * behind k others of the same queue begins after n times k others at most, however full the other queues are.
 */
export function createBulkhead<Queue extends string>(options: {
  atOnce: number
  queues: readonly Queue[]
  maxWaiting: number
  full: () => Refusal
}): Bulkhead<Queue> {
  const { atOnce, maxWaiting, full } = options
  // In the order of their turns, each with what begins its callers and whose they are.
  const turns = options.queues.map((name) => ({ name, waiting: new Map<() => void, string | undefined>() }))
  let running = 0

  const wait = ({ signal, queue, userId }: BulkheadCaller<Queue>) => {
    const waiting = turns.find(({ name }) => name === queue)?.waiting
    if (!waiting || waiting.size >= maxWaiting) throw full()
    const own = userId === undefined ? 0 : [...waiting.values()].filter((id) => id === userId).length
    if (own >= MAX_WAITING_OF_USER) throw full()
    return new Promise<void>((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        waiting.delete(begin)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.set(begin, userId)
    })
  }
  /** Passes the place of work that has ended on to the queue that had no turn for longest. */
  const passOn = () => {
    const turn = turns.find(({ waiting }) => waiting.size > 0)
    const [begin] = turn?.waiting.keys() ?? []
    if (!turn || !begin) {
      running--
      return
    }
    turns.push(...turns.splice(turns.indexOf(turn), 1))
    turn.waiting.delete(begin)
    begin()
  }

  return async (work, caller) => {
    caller.signal.throwIfAborted()
    if (running < atOnce) running++
    else await wait(caller)
    try {
      return await work()
    } finally {
      passOn()
    }
  }
}
