import { networkOf } from '@instatunnel/kit/client-address'
import type { Refusal } from '@instatunnel/kit/refusal'
import { createFairQueue } from './fair-queue.ts'

/** Who waits in a bulkhead. */
export interface BulkheadCaller<Queue extends string> {
  /** Aborts when the caller goes away: its turn is dropped. */
  readonly signal: AbortSignal
  /** Where it waits. */
  readonly queue: Queue
  /** What names the account that it is known to be of: that has two places of a queue. */
  readonly account?: string | undefined
  /** Its address as addressSubject has it, undefined or empty where it is not known: networks take turns (fair-queue.ts). */
  readonly address?: string | undefined
}

/** Runs work, some at once and the rest in short queues; rejects with the refusal where the caller's queue is full. */
export type Bulkhead<Queue extends string> = <T>(
  work: () => Promise<T>,
  caller: BulkheadCaller<Queue>,
) => Promise<T>

/**
 * Creates a bulkhead. `maxWaiting` is how many may wait in each queue, which is fair. The queues take turns: with n of them,
 * who waits behind k others of the same queue begins after n times k others at most, however full the other queues are.
 */
export function createBulkhead<Queue extends string>(options: {
  atOnce: number
  queues: readonly Queue[]
  maxWaiting: number
  full: () => Refusal
}): Bulkhead<Queue> {
  const { atOnce, maxWaiting, full } = options
  // In the order of their turns.
  const turns = options.queues.map((name) => ({ name, waiting: createFairQueue(maxWaiting) }))
  let running = 0

  const wait = ({ signal, queue, account, address = '' }: BulkheadCaller<Queue>) =>
    new Promise<void>((resolve, reject) => {
      const waiting = turns.find(({ name }) => name === queue)?.waiting
      const stopListening = () => signal.removeEventListener('abort', leave)
      const waiter = {
        network: networkOf(address),
        account,
        begin() {
          stopListening()
          resolve()
        },
        refuse() {
          stopListening()
          reject(full())
        },
      }
      const leave = () => {
        waiting?.leave(waiter)
        reject(signal.reason)
      }
      if (!waiting?.enter(waiter)) return reject(full())
      signal.addEventListener('abort', leave, { once: true })
    })
  /** Passes the place of work that has ended on to the queue that had no turn for longest. */
  const passOn = () => {
    for (const turn of turns) {
      const next = turn.waiting.next()
      if (!next) continue
      turns.push(...turns.splice(turns.indexOf(turn), 1))
      return next.begin()
    }
    running--
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
