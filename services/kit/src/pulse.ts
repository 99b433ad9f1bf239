import type { NatsConnection } from '@nats-io/transport-node'
import { followPresence } from './presence.ts'

const ASK_MS = 500
// So many times NATS is asked in vain before it counts as away; a process that stood still itself asks once.
const MAX_UNANSWERED = 3
/** What was heard longer ago than this says nothing of now. */
const FRESH_MS = (MAX_UNANSWERED + 1) * ASK_MS

/** Whether NATS answers, and so whatever it sent us before has arrived. */
export interface Pulse {
  /** True where it answered within the last two seconds. Costs a look at the clock. */
  isThere(): boolean
  stop(): void
}

/**
 * Follows whether NATS answers on a connection: one that is dead without a word looks connected for minutes. `changed`
 * is called when it answers for the first time, when it goes and when it is back; it then knows of our subscriptions.
 */
export function followPulse(connection: NatsConnection, changed: (isThere: boolean) => void): Pulse {
  let isThere = false
  let answeredAt = Number.NEGATIVE_INFINITY
  let unanswered = 0
  let turn = 0
  let stopped = false

  const tell = (is: boolean) => {
    if (stopped || is === isThere) return
    isThere = is
    changed(is)
  }
  const ask = () => {
    const asked = ++turn
    connection.flush().then(
      () => {
        if (asked !== turn) return
        answeredAt = performance.now()
        unanswered = 0
        tell(true)
      },
      () => {
        if (asked !== turn) return
        unanswered = 0
        tell(false)
      },
    )
  }
  const presence = followPresence(connection, (isConnected) => {
    turn++ // an answer to what was asked before says nothing any more
    unanswered = 0
    if (isConnected) ask()
    else tell(false)
  })
  const timer = setInterval(() => {
    if (!presence.isThere()) return
    if (unanswered === 0) ask()
    else if (unanswered >= MAX_UNANSWERED) tell(false)
    unanswered++
  }, ASK_MS)
  ask()

  return {
    isThere: () => isThere && performance.now() - answeredAt < FRESH_MS,
    stop() {
      stopped = true
      clearInterval(timer)
      presence.stop()
    },
  }
}
