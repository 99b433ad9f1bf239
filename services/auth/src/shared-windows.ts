import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Replicas } from '@instatunnel/kit/replicas'
import { createTakesElsewhere } from './domain/counted-elsewhere.ts'
import { createRendezvous } from './domain/rendezvous.ts'
import type { LocalWindows, SlidingWindows } from './domain/sliding-window.ts'
import { boundedLimit, type WindowBounds } from './domain/window-bounds.ts'
import type { WindowAsk } from './domain/window-message.ts'
import { openWindowLine } from './events/window-line.ts'

/** Windows that all replicas count in together. */
export interface SharedWindows extends SlidingWindows {
  /**
   * Undoes the subject's earliest take since a time, whichever replica it was that took it: what was taken at that time may
   * be known to that one only.
   */
  refund(subject: string, since: Date): void
  close(): void
}

/**
 * Windows over all replicas: one of them owns each subject and counts it, in its own memory and at once; the others ask
 * it, and promise an answer. Nothing is granted ahead, so a refusal is final and no limit is passed. Where NATS is away,
 * the owner dead or silent for too long, a replica counts by itself: a call waits for no one any longer.
 */
export function createSharedWindows(options: {
  local: LocalWindows
  replicas: Pick<Replicas, 'live' | 'isThere'>
  nats: Nats
  /** Who this replica is among them. */
  replica: string
  bounds: WindowBounds
  now: () => Date
  log: Logger
}): SharedWindows {
  const { local, replicas, nats, replica, bounds, now, log } = options
  const { ownerOf } = createRendezvous()
  const elsewhere = createTakesElsewhere()
  const line = openWindowLine({
    nats,
    log,
    replica,
    owner: {
      count(asks) {
        const at = now()
        const answers = asks.map(({ verb, subject, limit }) =>
          local[verb](subject, boundedLimit(bounds, subject, limit), at),
        )
        return { at: at.getTime(), answers }
      },
      takeBack(returns) {
        for (const { subject, at } of returns) local.giveBack(subject, new Date(at))
      },
    },
  })

  /** Who else is to be asked; undefined where this replica counts. */
  const otherOwner = (ask: WindowAsk): string | undefined => {
    const live = replicas.live()
    if (live.length === 0 || (live.length === 1 && live[0] === replica)) return undefined
    const owner = ownerOf(ask.subject, live)
    if (owner === undefined || owner === replica || !replicas.isThere()) return undefined
    return line.canAsk(owner, ask) ? owner : undefined
  }
  /** Counts what another did not answer, as of now: windows are told no old times. */
  const countHere = ({ verb, subject, limit }: WindowAsk) => {
    const at = now()
    return { at: at.getTime(), taken: local[verb](subject, limit, at) }
  }
  const count = (ask: WindowAsk, at: Date) => {
    const { verb, subject, limit } = ask
    const owner = otherOwner(ask)
    if (owner === undefined) return local[verb](subject, limit, at)
    return line.ask(owner, ask).then((answer) => {
      const counted = answer ?? countHere(ask)
      if (verb === 'take' && counted.taken.admitted)
        elsewhere.note(subject, at, { owner: answer ? owner : replica, at: counted.at })
      return counted.taken
    })
  }

  return {
    take: (subject, limit, at) => count({ verb: 'take', subject, limit }, at),
    look: (subject, limit, at) => count({ verb: 'look', subject, limit }, at),
    giveBack(subject, at) {
      const counted = elsewhere.claim(subject, at)
      if (!counted) local.giveBack(subject, at)
      else if (counted.owner === replica) local.giveBack(subject, new Date(counted.at))
      else line.giveBack(counted.owner, { subject, at: counted.at })
    },
    refund(subject, since) {
      const owner = otherOwner({ verb: 'take', subject, limit: 0 })
      if (owner === undefined) local.giveBack(subject, since)
      else line.giveBack(owner, { subject, at: since.getTime() })
    },
    close: () => line.close(),
  }
}
