import type { Taken } from '../domain/sliding-window.ts'
import { MAX_ASKS, type WindowAsk, type WindowReturn } from '../domain/window-message.ts'

/** What an owner answered, and when it counted, by its clock. */
export interface Counted {
  readonly taken: Taken
  readonly at: number
}

/** What one owner is told in one message. */
export interface WindowBatch {
  readonly owner: string
  readonly id: number
  readonly asks: WindowAsk[]
  readonly returns: WindowReturn[]
  /** What it answered to each ask; undefined where it did not. */
  readonly answered: Promise<readonly Counted[] | undefined>
  readonly resolve: (counted: readonly Counted[] | undefined) => void
}

/** Gathers what owners are to be told until the end of a turn of the event loop: all calls that came in it. */
export function gatherWindowBatches(send: (batch: WindowBatch) => void): {
  /** The batch that goes to an owner next, with room in it. */
  of(owner: string): WindowBatch
  /** Sends what is gathered right now. */
  sendAll(): void
} {
  let gathering = new Map<string, WindowBatch>()
  let lastId = 0

  const sendAll = () => {
    const batches = gathering
    gathering = new Map()
    for (const batch of batches.values()) send(batch)
  }
  return {
    sendAll,
    of(owner) {
      const begun = gathering.get(owner)
      if (begun && begun.asks.length < MAX_ASKS && begun.returns.length < MAX_ASKS) return begun
      if (begun) send(begun)
      else if (gathering.size === 0) setImmediate(sendAll)
      const { promise: answered, resolve } = Promise.withResolvers<readonly Counted[] | undefined>()
      const batch = { owner, id: ++lastId, asks: [], returns: [], answered, resolve }
      gathering.set(owner, batch)
      return batch
    },
  }
}
