import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Taken } from '../domain/sliding-window.ts'
import {
  isAskable,
  isReplica,
  MAX_ASKS,
  type WindowAsk,
  type WindowMessage,
  type WindowReturn,
  writeWindowMessage,
} from '../domain/window-message.ts'
import { hearWindows } from './hear-windows.ts'
import { createPatience } from './patience.ts'

// So long an owner that did not answer is not asked again.
const SILENCE_MS = 250
// Past so many asks without an answer nothing more is asked: memory stays bounded.
const MAX_WAITING = 10_000

/** What an owner answered, and when it counted, by its clock. */
export interface Counted {
  readonly taken: Taken
  readonly at: number
}

/** Between the replicas, about the windows that one counts for the others. */
export interface WindowLine {
  /** False where asking is in vain: NATS was never reached, or the owner did not answer just now. */
  canAsk(owner: string, ask: WindowAsk): boolean
  /** Asks an owner; undefined where it did not answer in 20 ms. What is asked in one turn goes in one message. */
  ask(owner: string, ask: WindowAsk): Promise<Counted | undefined>
  /** Tells an owner that a take which it counted is undone. */
  giveBack(owner: string, given: WindowReturn): void
  close(): void
}

/** How this replica counts for the others. */
export interface WindowOwner {
  count(asks: readonly WindowAsk[]): { at: number; answers: readonly Taken[] }
  takeBack(returns: readonly WindowReturn[]): void
}

/** What one owner is told in one message. */
interface Batch {
  readonly owner: string
  readonly id: number
  readonly asks: WindowAsk[]
  readonly returns: WindowReturn[]
  readonly answered: Promise<readonly Counted[] | undefined>
  readonly resolve: (counted: readonly Counted[] | undefined) => void
}

const lineOf = (replica: string) => `instatunnel.auth.limits.${replica}`

/** Opens the line of a replica to the others, and of the others to it. */
export function openWindowLine(options: {
  nats: Nats
  log: Logger
  replica: string
  owner: WindowOwner
}): WindowLine {
  const { nats, log, replica } = options
  let connection: Awaited<Nats['ready']>['connection'] | undefined
  let gathering = new Map<string, Batch>()
  const waiting = new Map<number, Batch>()
  const silentUntil = new Map<string, number>()
  let asked = 0
  let lastId = 0

  const end = (batch: Batch, counted?: readonly Counted[]) => {
    patience.end(batch)
    waiting.delete(batch.id)
    asked -= batch.asks.length
    batch.resolve(counted)
  }
  const patience = createPatience<Batch>(({ owner }) => {
    log.warn({ owner }, 'limits are counted here for a while: their owner does not answer')
    silentUntil.set(owner, performance.now() + SILENCE_MS)
    for (const batch of [...waiting.values()]) if (batch.owner === owner) end(batch)
  })
  const tell = (to: string, message: WindowMessage) =>
    connection?.publish(lineOf(to), writeWindowMessage(message))

  const send = (batch: Batch) => {
    const { owner, id, asks, returns } = batch
    if (asks.length > 0) {
      waiting.set(id, batch)
      patience.wait(batch)
    }
    try {
      tell(owner, { kind: 'ask', from: replica, id, asks, returns })
    } catch {
      // The connection was closed meanwhile: it is as if nobody answered.
    }
  }
  const sendAll = () => {
    const batches = gathering
    gathering = new Map()
    for (const batch of batches.values()) send(batch)
  }
  const batchFor = (owner: string): Batch => {
    const begun = gathering.get(owner)
    if (begun && begun.asks.length < MAX_ASKS && begun.returns.length < MAX_ASKS) return begun
    if (begun) send(begun)
    // At the end of this turn, when the calls that came in it have been read.
    else if (gathering.size === 0) setImmediate(sendAll)
    const { promise: answered, resolve } = Promise.withResolvers<readonly Counted[] | undefined>()
    const batch = { owner, id: ++lastId, asks: [], returns: [], answered, resolve }
    gathering.set(owner, batch)
    return batch
  }

  const hear = (message: WindowMessage) => {
    const { from, id } = message
    if (message.kind === 'ask') {
      const { count, takeBack } = options.owner
      takeBack(message.returns)
      if (message.asks.length > 0) tell(from, { kind: 'answer', from: replica, id, ...count(message.asks) })
      return
    }
    const batch = waiting.get(id)
    const { at, answers } = message
    if (batch?.owner !== from || batch.asks.length !== answers.length) return
    silentUntil.delete(from)
    end(
      batch,
      answers.map((taken) => ({ taken, at })),
    )
  }
  const hearing = hearWindows({
    nats,
    log,
    subject: lineOf(replica),
    hear,
    ready(opened) {
      connection = opened
    },
  })

  return {
    canAsk(owner, ask) {
      if (!connection || asked >= MAX_WAITING || !isReplica(owner) || !isAskable(ask)) return false
      const until = silentUntil.get(owner)
      if (until === undefined) return true
      if (performance.now() < until) return false
      silentUntil.delete(owner)
      return true
    },
    ask(owner, ask) {
      const batch = batchFor(owner)
      const index = batch.asks.push(ask) - 1
      asked++
      return batch.answered.then((counted) => counted?.[index])
    },
    giveBack(owner, given) {
      batchFor(owner).returns.push(given)
    },
    close() {
      hearing.close()
      sendAll()
      connection = undefined
      for (const batch of [...waiting.values()]) end(batch)
      patience.close()
    },
  }
}
