import type { Connections } from './connections.ts'
import type { Peers } from './peers.ts'

/** What is in flight has so long to finish. */
const DRAIN_MS = 30_000
const LOOK_MS = 50

/**
 * Sends every agent to another relay and waits until what is in flight, here and at peers, is done and has reached its
 * visitors: 30 s at most.
 */
export async function drain(options: {
  readonly connections: Connections
  readonly peers: Pick<Peers, 'streams'>
  /** Visitors that were here before, and have not been answered whole. */
  readonly visitors: () => number
  readonly now: () => Date
}): Promise<void> {
  const { connections, peers, visitors, now } = options
  connections.retire(() => true, 'draining')
  const until = now().getTime() + DRAIN_MS
  while (connections.size + peers.streams + visitors() > 0 && now().getTime() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  connections.cut(() => true, 'draining')
}
