import { RESET } from '@instatunnel/kit/frames'
import type { Arrival, Connection } from './connections.ts'
import type { Origin } from './domain/origin.ts'
import { Slots } from './slots.ts'

// After so many heartbeats (of 1.6 s) at rest one makes room for another. WebSockets are at rest between their pings,
// which come each 25 or 30 s as a rule: they get a minute.
const IDLE_BEATS = { request: 4, webSocket: 38 }

/** An agent's connection, which takes as many requests as one agent may have, and as many WebSockets beside them. */
export function agentConnection(
  arrival: Arrival,
  { maxRequests, maxWebSockets }: { maxRequests: number; maxWebSockets: number },
): Connection {
  const { link } = arrival
  const requests = new Slots(maxRequests, IDLE_BEATS.request)
  const webSockets = new Slots(maxWebSockets, IDLE_BEATS.webSocket)
  const slotsOf = ({ upgrades }: Origin) => (upgrades ? webSockets : requests)
  return {
    ...arrival,
    get taken() {
      return requests.size + webSockets.size
    },
    refusal: (origin) => (link.isFull ? 'too_many' : slotsOf(origin).refusal(origin.client)),
    makeRoom(origin) {
      if (link.isFull) return false
      const idle = slotsOf(origin).toEnd(origin.client, () => link.streams())
      idle?.abort(RESET.too_many)
      return idle !== undefined
    },
    open(head, end, sink, origin) {
      const slots = slotsOf(origin)
      // Those who waited for this agent were all let in before the first of them comes here.
      const refusal = slots.refusal(origin.client)
      if (refusal) return refusal
      const stream = link.open(head, end, sink)
      if (stream) slots.take(origin.client, stream)
      return stream
    },
  }
}
