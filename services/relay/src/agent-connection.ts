import { RESET } from '@instatunnel/kit/frames'
import type { Arrival, Connection } from './connections.ts'
import type { Origin } from './domain/origin.ts'
import { Slots } from './slots.ts'

/** An agent's connection, which takes as many requests as one agent may have, and as many WebSockets beside them. */
export function agentConnection(
  arrival: Arrival,
  { maxRequests, maxWebSockets }: { maxRequests: number; maxWebSockets: number },
): Connection {
  const { link } = arrival
  const requests = new Slots(maxRequests)
  const webSockets = new Slots(maxWebSockets)
  const slotsOf = ({ upgrades }: Origin) => (upgrades ? webSockets : requests)
  return {
    ...arrival,
    get taken() {
      return requests.size + webSockets.size
    },
    refusal: (origin) => (link.isFull ? 'too_many' : slotsOf(origin).refusal(origin.client)),
    makeRoom(origin) {
      const slots = slotsOf(origin)
      if (link.isFull || slots.refusal(origin.client) !== 'too_many') return false
      const idle = slots.toEnd(origin.client, () => link.streams())
      idle?.abort(RESET.crowded)
      return idle !== undefined
    },
    open(head, end, sink, origin) {
      const stream = link.open(head, end, sink)
      if (stream) slotsOf(origin).take(origin.client, stream)
      return stream
    },
  }
}
