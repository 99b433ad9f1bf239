import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Taken } from '../domain/sliding-window.ts'
import {
  isAskable,
  isReplica,
  type WindowAsk,
  type WindowMessage,
  type WindowReturn,
  writeWindowMessage,
} from '../domain/window-message.ts'
import { hearWindows } from './hear-windows.ts'
import { createPatience } from './patience.ts'
import { type Counted, gatherWindowBatches, type WindowBatch } from './window-batches.ts'

// So long an owner that did not answer is not asked again.
const SILENCE_MS = 250
// Past so many asks without an answer nothing more is asked: memory stays bounded.
const MAX_WAITING = 10_000

/** Between the replicas, about the windows that one counts for the others. */
export interface WindowLine {
  /** False where asking is in vain: NATS was never reached, or the owner did not answer just now. */
  canAsk(owner: string, ask: WindowAsk): boolean
  /** Asks an owner; undefined where it is dead, or did not answer in time. What is asked in one turn goes in one message. */
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

const lineOf = (replica: string) => `instatunnel.auth.limits.${replica}`

/** Opens the line of a replica to the others, and of the others to it. */
export function openWindowLine(options: {
  nats: Nats
  log: Logger
  replica: string
  owner: WindowOwner
}): WindowLine {
  const { nats, log, replica } = options
  const inbox = nats.newInbox()
  const waiting = new Map<number, WindowBatch>()
  const silentUntil = new Map<string, number>()
  let connection: Awaited<Nats['ready']>['connection'] | undefined
  let asked = 0

  const end = (batch: WindowBatch, counted?: readonly Counted[]) => {
    if (counted) patience.came(batch)
    else patience.forget(batch)
    waiting.delete(batch.id)
    asked -= batch.asks.length
    batch.resolve(counted)
  }
  const fallSilent = ({ owner }: WindowBatch) => {
    log.warn({ owner }, 'limits are counted here for a while: their owner does not answer')
    silentUntil.set(owner, performance.now() + SILENCE_MS)
    for (const batch of [...waiting.values()]) if (batch.owner === owner) end(batch)
  }
  const patience = createPatience<WindowBatch>(fallSilent)

  const tell = (to: string, message: WindowMessage, reply?: string) =>
    connection?.publish(lineOf(to), writeWindowMessage(message), reply ? { reply } : {})
  const batches = gatherWindowBatches((batch) => {
    const { owner, id, asks, returns } = batch
    if (asks.length > 0) {
      waiting.set(id, batch)
      patience.wait(batch)
    }
    try {
      tell(owner, { kind: 'ask', from: replica, id, asks, returns }, `${inbox}.${id}`)
    } catch {
      // The connection was closed meanwhile: it is as if nobody answered.
    }
  })

  const hearing = hearWindows({
    nats,
    log,
    subject: lineOf(replica),
    inbox,
    ready(opened) {
      connection = opened
    },
    unheard(id) {
      const batch = waiting.get(id)
      if (batch) fallSilent(batch)
    },
    hear(message) {
      const { from, id } = message
      if (message.kind === 'ask') {
        options.owner.takeBack(message.returns)
        if (message.asks.length === 0) return
        tell(from, { kind: 'answer', from: replica, id, ...options.owner.count(message.asks) })
        return
      }
      const batch = waiting.get(id)
      const { at, answers } = message
      if (batch?.owner !== from || batch.asks.length !== answers.length) return
      const counted = answers.map((taken) => ({ taken, at }))
      end(batch, counted)
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
      const batch = batches.of(owner)
      const index = batch.asks.push(ask) - 1
      asked++
      return batch.answered.then((counted) => counted?.[index])
    },
    giveBack(owner, given) {
      batches.of(owner).returns.push(given)
    },
    close() {
      hearing.close()
      batches.sendAll()
      connection = undefined
      for (const batch of [...waiting.values()]) end(batch)
      patience.close()
    },
  }
}
